"""The listening sockets: the host opens them, workers inherit them, and they outlive every worker (shell).

A connection that comes while no worker accepts waits in the kernel's queue. That is why a port is never lost by a
reload or a crash.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass

from longshore.core.host_syntax import join_host_port
from longshore.runtime.host.holder import find_holder

__all__ = ["ListenError", "Listeners", "open_listeners"]

_BACKLOG = 2048
_SEARCHED_PORTS = 100
_IN_USE = errno.EADDRINUSE
# IPv6 may be compiled in and switched off, or have no loopback address.
_NO_SUCH_FAMILY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})

_Address = tuple[socket.AddressFamily, str]


class ListenError(Exception):
    """The port cannot be listened on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Open listening sockets, all on one port."""

    sockets: tuple[socket.socket, ...]
    port: int
    urls: tuple[str, ...]
    holder: str = ""
    """Who has the port that was wanted, when this is another."""

    def addresses(self) -> tuple[str, ...]:
        """Return them as ``ip:port``."""
        return tuple(join_host_port(*sock.getsockname()[:2]) for sock in self.sockets)

    def close(self) -> None:
        """Close them; what waits in their queues is reset."""
        for sock in self.sockets:
            sock.close()

    def refuse_new(self) -> None:
        """Let no new connection begin, while those that wait can still be accepted.

        Closing a listening socket resets the connections in its queue, whose clients believe that they are connected
        and may have sent a request. So the beginnings of connections (SYN) are filtered out first; then the workers
        accept what is left, and then the sockets are closed. A no-op where the kernel has no such filter.
        """
        if sys.platform != "linux":
            return
        for sock in self.sockets:
            try:
                _drop_syn(sock)
            except OSError:
                pass  # a kernel that only looks like Linux: the few that come in this moment are reset


def open_listeners(host: str, port: int, *, may_search: bool = False) -> Listeners:
    """Open the port on every address of the host.

    Args:
        host: a name or an address; ``"localhost"`` is 127.0.0.1 and, where there is IPv6, ``::1``; ``"*"`` is all.
        port: 0 for any free one.
        may_search: take the next free port when this one is taken.

    Raises:
        ListenError: taken, not allowed, or not an address of this machine.
    """
    addresses = _addresses(host)
    holder = ""
    for candidate in range(port, min(port + _SEARCHED_PORTS, 65536) if may_search and port else port + 1):
        try:
            sockets = _listen_on_all(addresses, candidate)
        except OSError as exc:
            if exc.errno != _IN_USE:
                raise ListenError(_why(host, candidate, exc)) from exc
            holder = holder or find_holder(candidate)
            continue
        actual = int(sockets[0].getsockname()[1])
        return Listeners(tuple(sockets), actual, _urls(host, actual), holder if actual != port and port else "")
    by = f" by {holder}" if holder else ""
    raise ListenError(f"port {port} of {host!r} is taken{by}; end it, or choose another port (0 is any free one)")


def _addresses(host: str) -> list[_Address]:
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    if host in {"*", ""}:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104 - that is what was asked for
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise ListenError(f"host {host!r} has no address: {exc.strerror}; give 'localhost', '*' or an address") from exc
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))


def _listen_on_all(addresses: list[_Address], port: int) -> list[socket.socket]:
    """Listen on one port of all addresses; port 0: on one that is free on all of them."""
    attempts = 1 if port else 20
    while True:
        attempts -= 1
        sockets: list[socket.socket] = []
        try:
            for family, address in addresses:
                number = port or (sockets[0].getsockname()[1] if sockets else 0)
                try:
                    sockets.append(_listen(family, address, number))
                except OSError as exc:
                    if not (sockets and exc.errno in _NO_SUCH_FAMILY):
                        raise
            return sockets
        except OSError as exc:
            for sock in sockets:
                sock.close()
            if exc.errno != _IN_USE or not attempts:
                raise


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        sock.bind((address, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _urls(host: str, port: int) -> tuple[str, ...]:
    shown = "localhost" if host in {"*", "", "0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return (f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}",)


def _why(host: str, port: int, exc: OSError) -> str:
    match exc.errno:
        case errno.EACCES | errno.EPERM:
            return f"port {port} of {host!r} is not allowed to this user; choose one from 1024 on"
        case errno.EADDRNOTAVAIL:
            return f"host {host!r} is not an address of this machine; give 'localhost', '*' or one of its addresses"
        case _:
            return f"cannot listen on port {port} of {host!r}: {os.strerror(exc.errno or 0)}"


def _drop_syn(sock: socket.socket) -> None:
    """Attach a packet filter (classic BPF; linux/filter.h) that drops SYN and passes everything else."""
    instructions = (
        (0x30, 0, 0, 13),  # A = byte 13 of the TCP header, the flags
        (0x45, 0, 1, 0x02),  # SYN: next, else skip one
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass, all bytes of it
    )
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))  # struct sock_fprog
    so_attach_filter = 26  # Python has no name for it
    sock.setsockopt(socket.SOL_SOCKET, so_attach_filter, program)
