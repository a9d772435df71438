"""The listening sockets of ``longshore pool``: opened, inherited, handed on (shell)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.standalone.listen import Listen

__all__ = ["ListenFailed", "open_all", "open_unix", "shown_address"]

BACKLOG = 4096
_UNIX_MODE = 0o666
"""As PostgreSQL's: who may come is the business of the login."""


class ListenFailed(Exception):
    """A place cannot be listened at; the message says why and what to do."""


def open_all(place: Listen) -> list[socket.socket]:
    """Open a place: one socket for each of its addresses.

    Raises:
        ListenFailed: it is taken, not allowed, or no address of this machine.
    """
    if place.path:
        return [open_unix(Path(place.path), _UNIX_MODE)]
    opened: list[socket.socket] = []
    try:
        port = place.port
        for family, address in _addresses(place):
            opened.append(_open_tcp(family, address, port, place))
            port = port or opened[0].getsockname()[1]  # the same for all of a name
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def open_unix(path: Path, mode: int) -> socket.socket:
    """Open a Unix socket; one that nobody listens at any more is replaced.

    Raises:
        ListenFailed: somebody listens there, or something else stands in the way.
    """
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Never more open than it is to be: the mask holds between bind() and chmod().
        former = os.umask(0o777 & ~mode)
        try:
            sock.bind(str(path))
        finally:
            os.umask(former)
        path.chmod(mode)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise ListenFailed(f"cannot listen at unix:{path}: {exc.strerror}") from exc
    return sock


def shown_address(sock: socket.socket) -> str:
    """Return where a socket listens, for a person."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _addresses(place: Listen) -> Sequence[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as exc:
        raise ListenFailed(f"cannot listen at {place}: {exc.strerror}") from exc
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))


def _open_tcp(family: socket.AddressFamily, address: str, port: int, place: Listen) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise ListenFailed(_why(place, exc)) from exc
    return sock


def _why(place: Listen, error: OSError) -> str:
    hints = {
        errno.EADDRINUSE: "another process listens there: take another port, or --replace a running pool",
        errno.EACCES: "ports below 1024 need a privilege: take another port",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }
    return f"cannot listen at {place}: {hints.get(error.errno or 0, error.strerror)}"


def _clear(path: Path) -> None:
    """Remove the file of a socket that nobody listens at."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ListenFailed(f"cannot listen at unix:{path}: {exc.strerror}") from exc
    if not is_socket:
        hint = "write the path of a socket, like unix:/run/.s.PGSQL.6432"
        raise ListenFailed(f"cannot listen at unix:{path}: something that is no socket stands there; {hint}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except OSError as exc:
            raise ListenFailed(f"cannot listen at unix:{path}: {exc.strerror}") from exc
        else:
            hint = "another process listens there: take another path, or --replace a running pool"
            raise ListenFailed(f"cannot listen at unix:{path}: {hint}")
