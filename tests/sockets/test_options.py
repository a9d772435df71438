"""``SocketOptions`` and ``merge_options``."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore import (
    AbortController,
    ArgumentTypeError,
    ArgumentValueError,
    DirectDialer,
    SocketOptions,
    TlsOptions,
    UsageError,
)
from longshore.sockets._options import merge_options, start_tls_options

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = [field.name for field in fields(SocketOptions)]

SIGNAL = AbortController().signal
DIALER = DirectDialer()

# One value for each option that is not its default.
VALUES: dict[str, Any] = {
    "secure_transport": "starttls",
    "allow_half_open": True,
    "high_water_mark": 1,
    "sni": "example.com",
    "alpn": ("h2",),
    "tls": TlsOptions(),
    "connect_timeout_s": 1.5,
    "signal": SIGNAL,
    "no_delay": False,
    "keep_alive_s": 30,
    "local_address": ("::1", 0),
    "dialer": DIALER,
}


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def context_of(name: str) -> dict[str, Any]:
    """Return what an option needs beside it."""
    return {"secure_transport": "on"} if name in ("sni", "alpn", "tls") else {}


def test_every_option_is_in_the_table() -> None:
    """K1: so that none is forgotten below."""
    assert sorted(VALUES) == sorted(NAMES)


def test_the_defaults_are_those_of_the_contract() -> None:
    """K1: plain, not half-open, 64 KiB, no delay."""
    options = merge_options(None, {})
    assert options == SocketOptions()
    assert (options.secure_transport, options.allow_half_open, options.high_water_mark) == ("off", False, 65536)
    assert (options.sni, options.alpn, options.tls, options.no_delay) == (None, (), None, True)
    assert (options.keep_alive_s, options.local_address, options.signal, options.dialer) == (None, None, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_may_be_given_in_every_way(name: str) -> None:
    """K1: as a keyword, in a mapping, in a ``SocketOptions``; in snake_case and in camelCase."""
    given_options, beside = {name: VALUES[name]}, context_of(name)
    expected = SocketOptions(**beside, **given_options)
    assert getattr(expected, name) == VALUES[name]
    assert merge_options(None, {**beside, **given_options}) == expected
    assert merge_options({**beside, **given_options}, {}) == expected
    assert merge_options({**beside, camel(name): VALUES[name]}, {}) == expected
    assert merge_options(None, {**beside, camel(name): VALUES[name]}) == expected
    assert merge_options(expected, {}) is expected


@pytest.mark.parametrize(
    ("camel_case", "snake_case"),
    [
        ("secureTransport", "secure_transport"),
        ("allowHalfOpen", "allow_half_open"),
        ("highWaterMark", "high_water_mark"),
        ("connectTimeoutS", "connect_timeout_s"),
        ("keepAliveS", "keep_alive_s"),
        ("noDelay", "no_delay"),
        ("localAddress", "local_address"),
    ],
)
def test_camel_case_is_the_spelling_of_the_draft(camel_case: str, snake_case: str) -> None:
    """K1: the names that JavaScript uses are understood."""
    assert camel(snake_case) == camel_case
    assert getattr(merge_options({camel_case: VALUES[snake_case]}, {}), snake_case) == VALUES[snake_case]


def test_keywords_win() -> None:
    """K1: over a mapping and over a ``SocketOptions``."""
    for options in ({"highWaterMark": 1}, SocketOptions(high_water_mark=1)):
        assert merge_options(options, {"high_water_mark": 2}).high_water_mark == 2
        assert merge_options(options, {"highWaterMark": 2}).high_water_mark == 2


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("secureTransprt", "secure_transport"),
        ("secure_transports", "secure_transport"),
        ("halfOpen", "allow_half_open"),
        ("highwatermark", "high_water_mark"),
        ("connect_timeout", "connect_timeout_s"),
        ("keepAlive", "keep_alive_s"),
        ("nodelay", "no_delay"),
        ("dialler", "dialer"),
    ],
)
def test_a_misspelt_option_is_named_with_the_nearest_right_one(wrong: str, right: str) -> None:
    """K1: an unknown option is an error that says what was meant."""
    with pytest.raises(ArgumentTypeError, match=f"option '{wrong}' is unknown: did you mean '{right}'"):
        merge_options(None, {wrong: 1})


def test_an_option_unlike_any_other_is_answered_with_the_list() -> None:
    """K1: all names, so that nobody has to look them up."""
    with pytest.raises(ArgumentTypeError, match="the options are allow_half_open, alpn") as caught:
        merge_options({"zzz": 1}, {})
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("options", [1, "secure_transport", [("sni", "x")], object()])
def test_options_of_a_wrong_kind(options: Any) -> None:
    """K1: a ``SocketOptions``, a mapping or nothing."""
    with pytest.raises(ArgumentTypeError, match="must be SocketOptions, a mapping or None"):
        merge_options(options, {})


def test_option_names_are_text() -> None:
    """K1: whatever else a mapping may have for keys."""
    with pytest.raises(ArgumentTypeError, match="option name 1 must be a str"):
        merge_options({1: 2}, {})  # type: ignore[dict-item]  # that is the point


T, V = ArgumentTypeError, ArgumentValueError
WRONG: list[tuple[str, Any, type[Exception]]] = [
    ("secure_transport", "tls", V),
    ("secure_transport", "ON", V),
    ("secure_transport", None, V),
    ("secure_transport", True, V),
    ("allow_half_open", 1, T),
    ("allow_half_open", "false", T),
    ("no_delay", None, T),
    ("high_water_mark", 0, V),
    ("high_water_mark", -1, V),
    ("high_water_mark", 1.0, T),
    ("high_water_mark", True, T),
    ("high_water_mark", "64k", T),
    ("sni", b"example.com", T),
    ("sni", "", V),
    ("sni", ".example.com", V),
    ("sni", "a..b", V),
    ("sni", "a" * 64, V),
    ("sni", "bücher.example", V),
    ("sni", "example.com:443", V),
    ("sni", "exam ple", V),
    ("sni", "x" * 300, V),
    ("alpn", "h2", T),
    ("alpn", None, T),
    ("alpn", [b"h2"], T),
    ("alpn", [""], V),
    ("alpn", ["ü"], V),
    ("tls", {}, T),
    ("tls", True, T),
    ("connect_timeout_s", 0, V),
    ("connect_timeout_s", -0.5, V),
    ("connect_timeout_s", float("nan"), V),
    ("connect_timeout_s", float("inf"), V),
    ("connect_timeout_s", 10**400, V),
    ("connect_timeout_s", "5", T),
    ("connect_timeout_s", False, T),
    ("keep_alive_s", 0, V),
    ("keep_alive_s", 32768, V),
    ("keep_alive_s", "1", T),
    ("signal", object(), T),
    ("signal", AbortController(), T),
    ("local_address", "127.0.0.1", T),
    ("local_address", ("127.0.0.1", 0, 0), T),
    ("local_address", ("127.0.0.1", True), T),
    ("local_address", (b"127.0.0.1", 0), T),
    ("local_address", ("localhost", 0), V),
    ("local_address", ("127.0.0.1", 65536), V),
    ("dialer", 5, T),
    ("dialer", "direct", T),
]


@pytest.mark.parametrize(("name", "value", "error"), WRONG)
def test_a_wrong_value_is_named(name: str, value: Any, error: type[Exception]) -> None:
    """K1: the message has the option, and it is a plain ``TypeError`` or ``ValueError`` too."""
    beside = {} if name == "secure_transport" else {"secure_transport": "on"}
    with pytest.raises(error, match=name.split("_", maxsplit=1)[0]) as caught:
        merge_options({**beside, name: value}, {})
    assert isinstance(caught.value, (TypeError, ValueError))
    assert isinstance(caught.value, UsageError)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["sni", "alpn", "tls"])
def test_tls_options_need_tls(name: str) -> None:
    """K1: they would be ignored otherwise, and that is never done silently."""
    with pytest.raises(ArgumentValueError, match=f"{name} needs TLS"):
        merge_options({name: VALUES[name]}, {})


def test_a_list_of_protocols_is_kept_as_a_tuple() -> None:
    """K1: so that changing the list later changes nothing."""
    protocols = ["h2"]
    options = merge_options({"secureTransport": "on", "alpn": protocols}, {})
    protocols.append("http/1.1")
    assert options.alpn == ("h2",)


def test_overrides_of_start_tls() -> None:
    """K9: what is not given stays; the result speaks TLS."""
    before = SocketOptions(secure_transport="starttls", sni="old.example", alpn=("h2",), high_water_mark=5)
    after = start_tls_options(before, sni="new.example", alpn=None, tls=None, timeout_s=2)
    assert (after.secure_transport, after.sni, after.alpn) == ("on", "new.example", ("h2",))
    assert (after.high_water_mark, after.connect_timeout_s) == (5, 2)


# -- fuzzing -------------------------------------------------------------------------------------


class Hostile:
    """Has no representation and is equal to nothing."""

    def __repr__(self) -> str:
        raise RuntimeError("no representation")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63, 65536, 0]),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["on", "off", "starttls", "a.b", "a..b", "127.0.0.1", "::1", "\ud800", "h2"]),
    st.binary(max_size=8),
    st.builds(Hostile),
    st.just(TlsOptions()),
    st.just(SIGNAL),
    st.just(DIALER),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)
KEYS = st.one_of(st.sampled_from([*NAMES, *map(camel, NAMES)]), st.text(max_size=20))


def merged_or_refused(options: Any, keywords: Mapping[str, Any]) -> SocketOptions | UsageError:
    try:
        return merge_options(options, keywords)
    except (ArgumentTypeError, ArgumentValueError) as exc:
        return exc


HASHABLE = SCALARS.filter(lambda value: not isinstance(value, (list, dict)))
OPTIONS = st.one_of(ANYTHING, st.dictionaries(st.one_of(KEYS, HASHABLE), ANYTHING, max_size=4))


@given(options=OPTIONS, keywords=st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_merging_raises_nothing_but_argument_errors(options: Any, keywords: Mapping[str, Any]) -> None:
    """K1: whatever is given; the message is short and never a traceback of somebody's ``__repr__``."""
    merged = merged_or_refused(options, keywords)
    if isinstance(merged, SocketOptions):
        assert merge_options(merged, {}) is merged
    else:
        assert len(str(merged)) < 600


@given(text=st.from_regex(re.compile(r"[a-zA-Z_]{1,30}"), fullmatch=True))
def test_a_name_is_known_or_an_error(text: str) -> None:
    """K1: there is no third way."""
    known = text in NAMES or text in map(camel, NAMES)
    found = merged_or_refused(None, {text: object()})
    assert isinstance(found, UsageError)
    assert known != ("is unknown" in str(found))
