"""The connections of one pool, and the sessions that share them (shell over ``PoolState``)."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.pool.cancel import send_cancel
from longshore.pool.server_connection import LoginFailed, open_server
from longshore.pool.shared import PoolShared
from longshore.pool.state import PoolState
from longshore.pool.state_model import (
    Action,
    Assign,
    CloseServer,
    Event,
    OpenServer,
    ProbeServer,
    ReconnectRequested,
    Reject,
    RejectReason,
    ServerBroke,
    ServerClosed,
    ServerFailed,
    ServerOpened,
    ServerReturned,
    SessionGone,
    SessionWaits,
    TimePassed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from longshore.pool.server_connection import ServerConnection
    from longshore.pool.server_memory import ServerMemory
    from longshore.pool.state_model import Rules
    from longshore.pool.target import Target

    class Waiter(Protocol):
        """A session that wants a connection."""

        session_id: int

        def server_assigned(self, server: ServerConnection) -> None:
            """Here it is."""

        def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
            """There is none."""


__all__ = ["Pool"]

_LIFETIME_S = 3600.0
_MAX_LOGINS = 1000


class Pool:
    """All connections to one database as one account; made inside the running loop.

    Args:
        target: where they go.
        rules: how many, how long.
    """

    def __init__(self, target: Target, rules: Rules) -> None:
        self.target = target
        self.shared = PoolShared(target.user, self._on_pin)
        self.parameters: dict[bytes, bytes] | None = None
        """What a server reported at its login; None before the first."""
        self.pinned = 0
        self._state = PoolState(rules)
        self._servers: dict[int, ServerConnection] = {}
        self._waiters: dict[int, Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_error: LoginFailed | None = None
        self._is_closed = False
        self._held: set[ServerConnection] = set()  # clean, but a cancel may still hit them
        self._logins: OrderedDict[tuple[tuple[str, str], ...], dict[bytes, bytes]] = OrderedDict()

    def acquire(self, waiter: Waiter, tenant: str = "") -> None:
        """Give a session a connection: now or later ``server_assigned`` or ``server_refused`` is called."""
        server_id = self._state.take(monotonic(), tenant)
        if server_id is not None:
            waiter.server_assigned(self._servers[server_id])
            return
        self._waiters[waiter.session_id] = waiter
        self._feed(SessionWaits(waiter.session_id, tenant))

    def forget(self, session_id: int) -> None:
        """Let a session wait no longer."""
        if self._waiters.pop(session_id, None) is not None:
            self._feed(SessionGone(session_id))

    def release(self, server: ServerConnection) -> None:
        """Take a clean connection back; a cancel that is on its way to it must not hit the next session."""
        server.holder = None
        assert server.memory is not None
        if server.memory.cancels:
            self._held.add(server)
            return
        if not self._state.give_back(monotonic(), server.server_id):
            self._feed(ServerReturned(server.server_id))

    def discard(self, server: ServerConnection) -> None:
        """Take a connection back that nobody must use any more."""
        server.holder = None
        if server.server_id in self._servers:
            self._feed(ServerBroke(server.server_id))

    def close_idle(self) -> None:
        """Close the connections that nobody uses, and the others when they come back."""
        self._feed(ReconnectRequested())

    def cancel(self, server: ServerConnection, on_done: Callable[[], None] | None = None) -> None:
        """Cancel what a connection does; ``on_done`` follows when the server has taken it or is out of reach."""
        assert server.memory is not None
        server.memory.cancels += 1
        self._run(self._cancel(server, server.memory, on_done))

    async def _cancel(self, server: ServerConnection, memory: ServerMemory, on_done: Callable[[], None] | None) -> None:
        is_over = False
        try:
            is_over = await send_cancel(self.target, memory)
        finally:
            if on_done is not None:
                on_done()
            memory.cancels -= 1
            if server in self._held and not memory.cancels:
                self._held.discard(server)
                if is_over:
                    self.release(server)
                else:
                    self.discard(server)

    def known_login(self, settings: dict[str, str]) -> dict[bytes, bytes] | None:
        """Return what a server tells a client that asks for these settings; None when none did so far."""
        if not settings:
            return self.parameters
        return self._logins.get(tuple(settings.items()))

    def note_login(self, settings: dict[str, str], parameters: dict[bytes, bytes]) -> None:
        """Remember it."""
        self._logins[tuple(settings.items())] = dict(parameters)
        if len(self._logins) > _MAX_LOGINS:
            self._logins.popitem(last=False)

    async def aclose(self) -> None:
        """Close every connection.

        Cancellation: safe.
        """
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in list(self._servers.values()):
            server.close()

    def _on_pin(self, session_id: int, reason: str, statement: str) -> None:
        self.pinned += 1

    def _feed(self, event: Event) -> None:
        if self._is_closed:
            return
        for action in self._state.step(monotonic(), event):
            self._perform(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._state.deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(deadline - monotonic(), 0.0), self._feed, TimePassed())

    def _perform(self, action: Action) -> None:
        match action:
            case Assign(session_id, server_id):
                self._waiters.pop(session_id).server_assigned(self._servers[server_id])
            case Reject(session_id, reason, waited_s):
                self._waiters.pop(session_id).server_refused(reason, waited_s, self._last_error)
            case OpenServer(server_id):
                self._run(self._open(server_id))
            case CloseServer(server_id):
                server = self._servers.pop(server_id, None)
                if server is not None:
                    server.close()
                self._loop.call_soon(self._feed, ServerClosed(server_id))
            case ProbeServer(server_id):
                # A connection whose peer has gone is closed by then: its end was read while it was idle.
                self._loop.call_soon(self._feed, ServerReturned(server_id))

    def _run(self, work: object) -> None:
        self._tasks.add(spawn(work, name="longshore pool", on_done=self._tasks.discard))  # type: ignore[arg-type]

    async def _open(self, server_id: int) -> None:
        try:
            server = await open_server(server_id, self.target, self._on_lost)
        except LoginFailed as exc:
            self._last_error = exc
            self._feed(ServerFailed(server_id, exc.is_permanent))
            return
        assert server.memory is not None
        self._servers[server_id] = server
        if self.parameters is None:
            self.parameters = dict(server.memory.parameters)
        self._feed(ServerOpened(server_id, _LIFETIME_S * random.uniform(0.9, 1.0)))  # noqa: S311 - spreads reconnects

    def _on_lost(self, server: ServerConnection) -> None:
        self._held.discard(server)
        if server.server_id in self._servers:
            self._feed(ServerBroke(server.server_id))
