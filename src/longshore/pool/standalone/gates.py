"""Where clients come in: the listening sockets, and the servers that accept at them (shell)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from longshore.pool.standalone.listeners import ListenFailed, open_all, shown_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from longshore.pool.standalone.listen import Listen

__all__ = ["Gates", "given"]


def given(places: Iterable[Listen], sockets: Sequence[socket.socket]) -> dict[str, list[socket.socket]]:
    """Return sockets that were opened for us by the places of the configuration.

    Raises:
        ListenFailed: the configuration does not name the place of one.
    """
    named = {str(place): place for place in places}
    found: dict[str, list[socket.socket]] = {}
    for sock in sockets:
        address = shown_address(sock)
        if address not in named:
            for each in sockets:
                each.close()
            raise ListenFailed(f"a socket was given for {address}, which 'listen' does not name: add it there")
        found.setdefault(address, []).append(sock)
    return found


class Gates:
    """All listening sockets of a process, by the place that was configured.

    Args:
        inherited: sockets of another process, or of systemd: used instead of opening them.
    """

    def __init__(self, inherited: Mapping[str, Sequence[socket.socket]] | None = None) -> None:
        self._inherited = {place: list(sockets) for place, sockets in (inherited or {}).items()}
        self._sockets: dict[str, list[socket.socket]] = {}
        self._servers: list[asyncio.Server] = []

    def open(self, places: Iterable[Listen]) -> None:
        """Open every place.

        Raises:
            ListenFailed: one cannot be; then none is open.
        """
        try:
            for place in places:
                self._sockets[str(place)] = self._inherited.pop(str(place), []) or open_all(place)
        except BaseException:
            self.close(is_last=False)
            raise

    def by_place(self) -> dict[str, list[socket.socket]]:
        """Return the sockets."""
        return self._sockets

    def addresses(self) -> tuple[str, ...]:
        """Return where they listen, with the ports that the system chose."""
        return tuple(shown_address(sock) for sockets in self._sockets.values() for sock in sockets)

    async def start(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept.

        Cancellation: safe.
        """
        loop = asyncio.get_running_loop()
        for sockets in self._sockets.values():
            for sock in sockets:
                # Of a copy: a server closes its socket, and this one may be needed again.
                copy = sock.dup()
                copy.setblocking(False)
                if sock.family == socket.AF_UNIX:
                    self._servers.append(await loop.create_unix_server(make, sock=copy))
                else:
                    self._servers.append(await loop.create_server(make, sock=copy))

    def stop(self) -> None:
        """Accept no more; whoever comes waits in the kernel's queue."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self, *, is_last: bool) -> None:
        """Give the sockets up.

        Args:
            is_last: True: nobody else listens there, so that the files of Unix sockets are removed.
        """
        self.stop()
        for sock in (sock for group in (self._sockets, self._inherited) for each in group.values() for sock in each):
            if is_last and sock.family == socket.AF_UNIX and sock.fileno() >= 0:
                with contextlib.suppress(OSError):
                    os.unlink(sock.getsockname())
            sock.close()
        self._sockets.clear()
        self._inherited.clear()
