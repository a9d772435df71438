"""The rules for ``Host`` and the request target."""

from __future__ import annotations

import pytest

from longshore.runtime.worker.target import BadTarget, is_host, split_absolute, with_host


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a.b:80", b"a:", b"127.0.0.1:1", b"[::1]", b"[fe80::1%25eth0]:1", b"%C3%BC"]
)
def test_hosts(host: bytes) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host", [b"a/b", b"a b", b"a?b", b"u@a", b"a:b", b"a:1:2", b"[::1", b"::1", b"\xfc", b"%4", b"a\n"]
)
def test_what_is_no_host(host: bytes) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"http://a/b?c", (b"a", b"/b?c")),
        (b"HTTP://a:80", (b"a:80", b"/")),
        (b"http://a?b", (b"a", b"/?b")),
        (b"http://[::1]:8/#x", (b"[::1]:8", b"/")),
        (b"*", None),
        (b"a:443", None),
    ],
)
def test_absolute_form(target: bytes, parts: tuple[bytes, bytes] | None) -> None:
    assert split_absolute(target, "http") == parts


@pytest.mark.parametrize(
    "target", [b"https://a/", b"ftp://a/", b"http:///", b"http://:80/", b"http://u:p@a/", b"http://a:b/"]
)
def test_targets_that_nobody_has(target: bytes) -> None:
    with pytest.raises(BadTarget):
        split_absolute(target, "http")


def test_the_host_is_replaced_or_added() -> None:
    headers = [(b"a", b"1"), (b"host", b"x"), (b"b", b"2")]
    with_host(headers, b"y")
    assert headers == [(b"a", b"1"), (b"host", b"y"), (b"b", b"2")]
    with_host(without := [(b"a", b"1")], b"y")
    assert without == [(b"a", b"1"), (b"host", b"y")]
