"""One connection through a ``FaultProxy``: carries out what the two fault machines decide.

Rules that must not be broken:

1. Bytes before a fault's offset are in the receiver's kernel before the fault happens. A RST throws the
   *sender's* unsent bytes away, so a reset waits for the send queue to run empty.
2. One direction never touches what the other one is writing: a fault that ends the connection is reported to
   ``Link.run``, which stops both directions first.
3. A connection that breaks on one side is reset on the other, and one that is stopped while it holds bytes
   back is reset on both: the proxy never turns failure into FIN.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from enum import IntEnum
from typing import TYPE_CHECKING, final

from longshore.aio.tasks import spawn
from longshore.testing import _tcp
from longshore.testing.faults import Action, CloseBoth, FaultMachine, Forward, Pause, ResetBoth, SendEof, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Link", "Shared", "stop"]


@final
class Shared:
    """What the connections tell their proxy, and it them."""

    def __init__(self) -> None:
        self.forwarded_bytes = [0, 0]
        self.accepted_count = 0
        self.stalled_count = 0
        self._stalled: list[asyncio.Future[None]] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def stall(self) -> None:
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stalled.append(released)
        self.stalled_count += 1
        self.changed()
        try:
            await released
        finally:
            self.stalled_count -= 1

    def release_stalled(self) -> None:
        stalled, self._stalled = self._stalled, []
        for released in stalled:
            if not released.done():
                released.set_result(None)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((condition, waiter))
            await waiter

    def changed(self) -> None:
        waiters, self._waiters = self._waiters, []
        for condition, waiter in waiters:
            if waiter.done():
                continue
            if condition():
                waiter.set_result(None)
            else:
                self._waiters.append((condition, waiter))


class _Ending(IntEnum):
    EOF = 0  # both directions came to their end
    CLOSE = 1
    RESET = 2


@final
class _Direction:
    """One way through a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, machine: FaultMachine, index: int) -> None:
        self.source = source
        self.sink = sink
        self.machine = machine
        self.index = index
        self.is_holding = True  # bytes, or an end, may have been received and not been passed on
        self.is_at_eof = False
        self.over = asyncio.Event()
        self.ending = _Ending.EOF

    def is_cut_short(self) -> bool:
        """Whether bytes would be lost if it ended now."""
        return self.is_holding or (self.machine.wants_input and _tcp.has_unread_bytes(self.source))


@final
class Link:
    """One proxied connection: two sockets, two directions, one end."""

    def __init__(
        self, client: socket.socket, server: socket.socket, machines: list[FaultMachine], shared: Shared
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._shared = shared
        self._sockets = (client, server)
        self._directions = (
            _Direction(client, server, machines[0], 0),
            _Direction(server, client, machines[1], 1),
        )
        for sock in self._sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self) -> None:
        """Forward until both directions ended, a fault ends the connection, or a peer breaks it."""
        pumps = {spawn(self._pump(way), name=f"fault proxy direction {way.index}") for way in self._directions}
        ending: _Ending | None = None
        try:
            ending = await self._first_ending(pumps)
            await stop(pumps)
            await self._settle(ending)
        finally:
            try:
                await stop(pumps)
            finally:
                self._close(ending)

    def _close(self, ending: _Ending | None) -> None:
        is_cut_short = ending is None and any(way.is_cut_short() for way in self._directions)
        for sock in self._sockets:
            _tcp.reset(sock) if is_cut_short or ending is _Ending.RESET else _tcp.close(sock)

    async def _first_ending(self, pumps: set[asyncio.Task[None]]) -> _Ending:
        ending, pending = _Ending.EOF, pumps
        while pending and ending is _Ending.EOF:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            ending = max(way.ending for way in self._directions)
        return ending

    async def _settle(self, ending: _Ending) -> None:
        """Send what is owed before the sockets are closed (rule 1)."""
        if ending is _Ending.CLOSE:
            for sock in self._sockets:
                _tcp.send_fin(sock)
        for way in self._directions:
            if way.ending is ending is not _Ending.EOF:
                await _tcp.wait_acknowledged(way.sink)

    async def _pump(self, way: _Direction) -> None:
        try:
            await self._forward(way)
        except OSError:
            way.ending = _Ending.RESET  # rule 3
        way.over.set()
        if way.ending is _Ending.EOF and not way.is_at_eof:
            await self._directions[1 - way.index].over.wait()
            await self._discard(way)

    async def _forward(self, way: _Direction) -> None:
        await self._perform(way, way.machine.start())
        way.is_holding = False
        while way.machine.wants_input:
            data = await self._loop.sock_recv(way.source, _tcp.READ_BYTES)
            way.is_at_eof = not data
            way.is_holding = True
            await self._perform(way, way.machine.receive_data(data) if data else way.machine.receive_eof())
            way.is_holding = False

    async def _perform(self, way: _Direction, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Forward(data):
                    await self._send(way, data)
                case SendEof():
                    way.sink.shutdown(socket.SHUT_WR)
                case CloseBoth():
                    way.ending = _Ending.CLOSE
                case ResetBoth():
                    way.ending = _Ending.RESET
                case Pause():
                    await self._shared.stall()
                case Wait(delay_s):
                    await asyncio.sleep(delay_s)

    async def _send(self, way: _Direction, data: bytes) -> None:
        await self._loop.sock_sendall(way.sink, data)
        self._shared.forwarded_bytes[way.index] += len(data)
        if way.machine.has_segment_rule:
            await _tcp.wait_transmitted(way.sink)
        # Two turns, so that a receiver in this very loop sees the segment before the next one joins it:
        # in the first turn the loop learns of the bytes, but this task is in front of the receiver.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _discard(self, way: _Direction) -> None:
        """Read a sender that nobody listens to, so that closing does not answer it with a RST."""
        with contextlib.suppress(OSError):
            while await self._loop.sock_recv(way.source, _tcp.READ_BYTES):
                pass


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until they have ended."""
    unfinished = [task for task in tasks if not task.done()]
    for task in unfinished:
        task.cancel()
    if unfinished:
        await asyncio.wait(unfinished)
