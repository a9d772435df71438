"""``Headers``: an ``http.client.HTTPMessage`` that is checked, and what turns headers into the bytes of the wire.

The server works with ``(lower-case name, value)`` pairs of bytes. A ``Headers`` is made from them when somebody looks,
and encoded back when the message is sent; a message whose headers nobody touches never pays for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPMessage
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from longshore.workers._types import HeadersInit

__all__ = ["Headers", "RawHeaders", "encode_headers", "encode_value", "has_header"]

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

# RFC 9110 §5.6.2.
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# Every control character but the tab: CR, LF and NUL would let a value write headers of its own.
_find_control = re.compile("[\x00-\x08\x0a-\x1f\x7f]").search
_WHITESPACE = " \t\r\n"
# Names that programs use, as they go out; a program that makes names up does not fill memory with them.
_names: dict[str, bytes] = {}
_MAX_NAMES = 1024


def encode_headers(init: HeadersInit | None) -> RawHeaders:
    """Return checked headers as the wire has them; values of one name are joined, those of ``Set-Cookie`` are not.

    Args:
        init: a mapping, a ``Headers`` or a list of pairs; values may be numbers and booleans.

    Raises:
        TypeError: it is something else, or a name or a value is not allowed in HTTP.
    """
    if not init:
        return []
    found: dict[bytes, bytes] = {}
    cookies: RawHeaders = []
    for name, value in _pairs(init):
        key = _names.get(name) or encode_name(name)
        raw = encode_value(name, value)
        if key == b"set-cookie":
            cookies.append((key, raw))
        elif key in found:
            found[key] += b", " + raw
        else:
            found[key] = raw
    return [*found.items(), *cookies]


def _pairs(init: HeadersInit) -> Iterable[tuple[Any, Any]]:
    # The first test is for speed: that of a Mapping takes longer than all the rest.
    if init.__class__ is dict or isinstance(init, (Mapping, HTTPMessage)):
        return init.items()
    if isinstance(init, (list, tuple)):
        for pair in init:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise TypeError(f"headers hold {pair!r}: each entry of a list must be a (name, value) pair")
        return init
    raise TypeError("Received unexpected type for headers argument")


def has_header(raw: Sequence[tuple[bytes, bytes]], name: bytes) -> bool:
    """Return True when ``name``, in lower case, is there."""
    # A loop, because any() over a generator takes three times as long.
    for known, _ in raw:  # noqa: SIM110 -- see above
        if known == name:
            return True
    return False


def encode_name(name: object) -> bytes:
    """Return a header's name in lower case, or raise ``TypeError``."""
    if not isinstance(name, str) or not _is_token(name):
        raise TypeError(f"header name {name!r} is not allowed: use letters, digits and any of !#$%&'*+-.^_`|~")
    encoded = name.lower().encode()
    if len(_names) < _MAX_NAMES:
        _names[name] = encoded
    return encoded


def encode_value(name: str, value: object) -> bytes:
    """Return a header's value without white space around it, or raise ``TypeError``."""
    text = value if isinstance(value, str) else _as_text(name, value)
    if text.isascii() and text.isprintable():
        return text.strip(" ").encode()
    text = text.strip(_WHITESPACE)
    if control := _find_control(text):
        raise TypeError(
            f"header {name!r} holds {control[0]!r} at position {control.start()}: control characters are not allowed"
        )
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        raise TypeError(
            f"header {name!r} holds {text[exc.start]!r}, which HTTP has no bytes for: percent-encode it"
        ) from exc


def _as_text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise TypeError(f"header {name!r} has a value of type {type(value).__name__}: give a str")


class Headers(HTTPMessage):
    """The headers of a message; names are case-insensitive, ``get_all()`` gives every value.

    It is an ``http.client.HTTPMessage`` with three differences: ``headers[name] = value`` replaces what was there,
    names and values are checked, and the methods of JavaScript's ``Headers`` are there too. Several values of one name
    arrive joined by commas (RFC 9110 §5.3), apart from ``Set-Cookie``.

    Args:
        init: a mapping, another ``Headers`` or a list of pairs.

    Raises:
        TypeError: ``init`` is something else, or a name or a value is not allowed in HTTP.
    """

    _headers: list[tuple[str, str]]

    def __init__(self, init: HeadersInit | None = None) -> None:
        super().__init__()
        if init:
            self._headers = [(name.decode(), value.decode("latin-1")) for name, value in encode_headers(init)]

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return the headers that arrived as ``raw``; nothing is checked."""
        headers = cls()
        pairs = [(name.decode("latin-1"), value.decode("latin-1").strip(_WHITESPACE)) for name, value in raw]
        headers._headers = pairs if len({name for name, _ in pairs}) == len(pairs) else _joined(pairs)
        return headers

    def raw(self) -> RawHeaders:
        """Return them as the wire has them."""
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._headers]

    def copy(self) -> Headers:
        """Return headers that change independently of these."""
        headers = Headers()
        headers._headers = self._headers.copy()
        return headers

    # -- HTTPMessage -----------------------------------------------------------------------------

    def __setitem__(self, name: str, val: Any) -> None:
        key, value = _checked(name, val)
        found = [position for position, (known, _) in enumerate(self._headers) if known.lower() == key]
        if not found:
            self._headers.append((key, value))
            return
        self._headers[found[0]] = (key, value)
        for position in reversed(found[1:]):
            del self._headers[position]

    def add_header(self, _name: str, _value: str, **_params: Any) -> None:
        """Add one more value of a header; see ``email.message.Message.add_header`` for the parameters.

        Raises:
            TypeError: the name or the value is not allowed in HTTP.
        """
        formatter = HTTPMessage()
        formatter.add_header(_name, _value, **_params)
        self._headers.append(_checked(_name, formatter[_name]))

    def replace_header(self, _name: str, _value: str) -> None:
        """Change the first value of a header that is there.

        Raises:
            KeyError: it is not there.
            TypeError: the value is not allowed in HTTP.
        """
        super().replace_header(_name, _checked(_name, _value)[1])

    def set_raw(self, name: str, value: str) -> None:
        """Add one more value of a header; the email package calls this."""
        self._headers.append(_checked(name, value))

    # -- JavaScript's names ----------------------------------------------------------------------

    def append(self, name: str, value: Any) -> None:
        """Add a value, behind a comma when the header is there already; ``Set-Cookie`` stays apart.

        Raises:
            TypeError: the name or the value is not allowed in HTTP.
        """
        key, text = _checked(name, value)
        if key == "set-cookie" or key not in self:
            self._headers.append((key, text))
        else:
            self[key] = ", ".join([*self.get_all(key, []), text])

    def set(self, name: str, value: Any) -> None:
        """Replace a header: the same as ``headers[name] = value``."""
        self[name] = value

    def delete(self, name: str) -> None:
        """Remove a header; one that is not there is no error."""
        del self[name]

    def has(self, name: str) -> bool:
        """Return True when the header is there."""
        return name in self

    def get_set_cookie(self) -> list[str]:
        """Return every ``Set-Cookie``."""
        return self.get_all("set-cookie", [])

    getSetCookie = get_set_cookie  # noqa: N815 -- JavaScript's name

    def __repr__(self) -> str:
        return f"Headers({self._headers!r})"


def _checked(name: object, value: object) -> tuple[str, str]:
    key = encode_name(name).decode()
    return key, encode_value(key, value).decode("latin-1")


def _joined(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    cookies = []
    for name, value in pairs:
        if name == "set-cookie":
            cookies.append((name, value))
        elif name in found:
            # RFC 9113 §8.2.3: HTTP/2 may split this one header, whose values semicolons part.
            found[name] += ("; " if name == "cookie" else ", ") + value
        else:
            found[name] = value
    return [*found.items(), *cookies]
