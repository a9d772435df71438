"""Where results are kept for several machines (PURE)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["StoreAddress", "parse_store"]

_MAX_PORT: Final = 65_535
_REDIS: Final = re.compile(
    r"(?P<scheme>rediss?)://((?P<login>[^@/?#]*)@)?"
    r"(?P<place>(\[[0-9a-fA-F:.]+\]|[^:/@?#\[\]\s]+)(:(?P<port>[0-9]{1,5}))?(/[0-9]{0,4})?)"
)
_UNIX: Final = re.compile(r"(?P<scheme>unix)://(?P<place>/[^?#]+)(?P<port>){0}(?P<login>){0}")
_FORM: Final = "write redis://host:6379/0, rediss:// with TLS, or unix:///run/redis.sock"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A Redis."""

    name: str
    """Its address without user and password."""
    url: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    """None: as the URL says."""

    def __str__(self) -> str:
        return self.name


def parse_store(url: str, password: str | None = None) -> StoreAddress:
    """Return what a URL says.

    Raises:
        ValueError: it is none; the message never holds the password.
    """
    found = _REDIS.fullmatch(url) or _UNIX.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 1) <= _MAX_PORT:
        raise ValueError(f"is no address of a Redis: {_FORM}")
    if ":" in (found["login"] or "") and password is not None:
        raise ValueError("has a password already: keep one of the two")
    return StoreAddress(found["scheme"] + "://" + found["place"], url, password)
