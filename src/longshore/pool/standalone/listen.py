"""Where the pool listens, as people write it (PURE)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from longshore.core.host_syntax import join_host_port, parse_host
from longshore.core.shown import shown
from longshore.errors import SocketError

__all__ = ["Listen", "parse_listen"]

_UNIX: Final = "unix:"
_MAX_PORT: Final = 65535
_MAX_PATH_BYTES: Final = 107
"""``sun_path`` of Linux, less its NUL."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One place to listen at."""

    host: str = ""
    port: int = 0
    """0 asks the system for a free one."""
    path: str = ""
    """Of a Unix socket; then there is no host."""

    @property
    def is_local(self) -> bool:
        """True when only this machine can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}" if self.path else join_host_port(self.host, self.port)


def parse_listen(text: str) -> Listen:
    """Return the place that ``127.0.0.1:6432``, ``[::1]:6432``, ``*:6432`` or ``unix:/run/pool.sock`` means.

    Raises:
        ValueError: it is none of these.
    """
    if text.startswith(_UNIX):
        return _unix(text.removeprefix(_UNIX))
    host, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port[:6]) <= _MAX_PORT
    if not colon or not host or not is_port:
        raise ValueError(f"{shown(text)} is no place to listen at: write it like '127.0.0.1:6432' or 'unix:/run/pool'")
    if host == "*":
        return Listen("0.0.0.0", int(port))  # noqa: S104 - what was asked for
    if ":" in host and not host.startswith("["):
        raise ValueError(f"{shown(text)} has an IPv6 address without brackets: write '[{host}]:{port}'")
    try:
        return Listen(parse_host(host.removeprefix("[").removesuffix("]"), shown(text))[0], int(port))
    except SocketError as exc:
        raise ValueError(str(exc)) from exc


def _unix(path: str) -> Listen:
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"{shown(path)} is no absolute path of a socket: write it like 'unix:/run/.s.PGSQL.6432'")
    if len(path.encode()) > _MAX_PATH_BYTES or "\0" in path:
        raise ValueError(f"{shown(path)} is longer than the {_MAX_PATH_BYTES} bytes that a socket's path may have")
    return Listen(path=path)
