"""``FaultProxy``: a TCP proxy on the loopback that breaks connections at an exact byte.

It sits between a client and a real server and forwards what it does not understand, so it works under TLS
as well as under anything else. ``longshore.testing.faults`` decides, this module carries out:

    client ◄──── to_client ──── proxy ◄──── server        one ``FaultMachine`` for each direction
    client ────► proxy ──── to_server ────► server        one ``Link`` for each accepted connection
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self, TypeAlias

from longshore.aio.tasks import spawn
from longshore.core.addresses import AnySocketAddress, SocketAddress
from longshore.testing import _tcp
from longshore.testing._link import Link, Shared, stop
from longshore.testing.faults import Fault, FaultMachine

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FaultProxy", "Script"]

Script: TypeAlias = Sequence[Fault] | Callable[[int], Sequence[Fault]]
"""The faults of a direction for all connections, or a function of the connection's number (from 0)."""


class FaultProxy:
    """Forwards connections from ``127.0.0.1`` to ``upstream`` and applies a script to each direction.

    ::

        async with FaultProxy(("127.0.0.1", 5432), to_client=[Reset(at_bytes=100)]) as proxy:
            socket = connect(proxy.address)

    Leaving the block ends every connection that is still open: with FIN when it is idle, with RST when
    the proxy holds bytes of it back, so that nothing cut short looks complete.

    Args:
        upstream: the real server, in any form that ``connect()`` takes. A client whose upstream cannot
            be reached is reset.
        to_server: script for the bytes from client to server.
        to_client: script for the bytes from server to client.

    Raises:
        ArgumentTypeError, ArgumentValueError: ``upstream`` is no address, or a script is not valid.
    """

    def __init__(self, upstream: AnySocketAddress, *, to_server: Script = (), to_client: Script = ()) -> None:
        self._upstream = SocketAddress.parse(upstream)
        self._scripts = (to_server, to_client)
        for script in self._scripts:
            if not callable(script):
                FaultMachine(script)
        self._listener: socket.socket | None = None
        self._address = ""
        self._links: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._state = Shared()

    @property
    def address(self) -> str:
        """Where it listens, ``127.0.0.1:port``; known inside the ``async with`` block and after it."""
        return self._address

    @property
    def bytes_to_server(self) -> int:
        """Bytes forwarded to the server so far, over all connections."""
        return self._state.forwarded_bytes[0]

    @property
    def bytes_to_client(self) -> int:
        """Bytes forwarded to clients so far, over all connections."""
        return self._state.forwarded_bytes[1]

    @property
    def accepted_count(self) -> int:
        """How many connections it has accepted."""
        return self._state.accepted_count

    @property
    def open_count(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    @property
    def stalled_count(self) -> int:
        """How many directions a ``Stall`` holds now."""
        return self._state.stalled_count

    def resume(self) -> None:
        """Let every direction that is stalled now go on; those that stall later are not affected."""
        self._state.release_stalled()

    async def wait_stalled(self, count: int = 1) -> None:
        """Wait until at least ``count`` directions are stalled.

        Cancellation: safe.
        """
        await self._state.wait_for(lambda: self._state.stalled_count >= count)

    async def wait_idle(self) -> None:
        """Wait until no connection is open.

        Cancellation: safe.
        """
        await self._state.wait_for(lambda: not self._links)

    async def start(self) -> None:
        """Begin to listen; ``async with`` does it.

        Raises:
            OSError: no port is free.

        Cancellation: safe.
        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        host, port = listener.getsockname()
        self._address = f"{host}:{port}"
        asyncio.get_running_loop().add_reader(listener.fileno(), self._on_acceptable)

    async def close(self) -> None:
        """Stop listening and end every connection. Idempotent.

        Raises:
            Exception: what went wrong inside the proxy, were it not a peer's doing.

        Cancellation: stops waiting; the connections end on their own.
        """
        listener, self._listener = self._listener, None
        if listener is None:
            return
        asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()
        await stop(self._links)
        if self._failures:
            raise self._failures[0]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _on_acceptable(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it was gone before it could be accepted
        client.setblocking(False)
        number = self._state.accepted_count
        self._state.accepted_count += 1
        task = spawn(self._serve(client, number), name=f"fault proxy {self._address} connection {number}")
        self._links.add(task)
        task.add_done_callback(partial(self._on_link_ended, client))

    async def _serve(self, client: socket.socket, number: int) -> None:
        machines = [FaultMachine(s(number) if callable(s) else s) for s in self._scripts]
        try:
            server = await _tcp.connect_upstream(self._upstream)
        except OSError:
            return  # the client is reset
        await Link(client, server, machines, self._state).run()

    def _on_link_ended(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        _tcp.reset(client)  # where there was no link to close it, also when the task never began
        self._links.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)
        self._state.changed()
