"""The connections of one pool, and the sessions that share them (shell over ``PoolState``)."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.pool.catalogue.loader import CatalogueLoader
from longshore.pool.clients.known_starts import KnownStarts
from longshore.pool.failures import killed
from longshore.pool.model import Mode
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.health import HealthProbe
from longshore.pool.servers.listener import Listener
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.opener import Opener
from longshore.pool.session.shared import PoolShared
from longshore.pool.slots.model import (
    Action,
    Assign,
    CloseServer,
    Event,
    OpenServer,
    Paused,
    PauseRequested,
    ProbeServer,
    ReconnectRequested,
    Reject,
    RejectReason,
    ResumeRequested,
    RulesChanged,
    ServerBroke,
    ServerClosed,
    ServerFailed,
    ServerOpened,
    ServerReturned,
    SessionGone,
    SessionWaits,
    TimePassed,
)
from longshore.pool.slots.state import Phase, PoolState
from longshore.pool.statistics import BOUNDS_S, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.dialing import ServerDialer
    from longshore.pool.servers.key_cache import KeyCache
    from longshore.pool.servers.target import Target
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.pool.slots.model import Rules

    class Waiter(Protocol):
        """A session that wants a connection."""

        session_id: int

        def server_assigned(self, server: ServerConnection) -> None:
            """Here it is."""

        def server_refused(self, reason: RejectReason, waited_s: float, error: LoginFailed | None) -> None:
            """There is none."""


__all__ = ["Pool"]

_MAX_LOGINS = 1000


class Pool:
    """All connections to one database as one account; made inside the running loop.

    Args:
        target: where they go.
        rules: how many, how long.
        dialer: opens the connections.
        keys: of SCRAM.
    """

    def __init__(
        self, target: Target, rules: Rules, *, dialer: ServerDialer = DIRECT, keys: KeyCache | None = None
    ) -> None:
        self.name = target.database
        """Of the database, as clients call it."""
        self._mode = Mode.TRANSACTION
        self.statistics = Statistics()
        self.opener = Opener(target, self.statistics, dialer=dialer, keys=keys)
        self.shared = PoolShared(target.user, self._on_pin)
        self.shared.statistics = self.statistics
        self.shared.shares_listening = True
        self.listener = Listener(self._open_listener, self._run)
        """Listens for all sessions; a connection beside those that are counted."""
        self.catalogue = CatalogueLoader(self)
        self.parameters: dict[bytes, bytes] | None = None
        """What a server reported at its login; None before the first."""
        self.pinned = 0
        self._state = PoolState(rules)
        self.on_rest: Callable[[ClientConnection], None] | None = None
        """Is told of each client that gives its connection back: while clients are handed to another process."""
        self._is_quiet = asyncio.Event()
        self._servers: dict[int, ServerConnection] = {}
        self._waiters: dict[int, Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_error: LoginFailed | None = None
        """Of the last login; None when it succeeded."""
        self.asked_at = 0.0
        """When somebody last asked for a connection."""
        self._is_closed = False
        self._is_passing = False
        self._held: set[ServerConnection] = set()  # clean, but a cancel may still hit them
        self.starts = KnownStarts()
        self._logins: OrderedDict[tuple[tuple[str, str], ...], dict[bytes, bytes]] = OrderedDict()

    def acquire(self, waiter: Waiter, tenant: str = "") -> None:
        """Give a session a connection: now or later ``server_assigned`` or ``server_refused`` is called."""
        self.asked_at = monotonic()
        server_id = self._state.take(self.asked_at, tenant)
        if server_id is not None:
            server = self._servers[server_id]
            server.assigned_at = self.asked_at
            waiter.server_assigned(server)
            return
        self._waiters[waiter.session_id] = waiter
        if self._state.wait(self.asked_at, waiter.session_id, tenant):
            self._wake_for(self.asked_at + self._state.rules.wait_timeout_s)
        else:
            self._feed(SessionWaits(waiter.session_id, tenant))

    def forget(self, session_id: int) -> None:
        """Let a session wait no longer."""
        if self._waiters.pop(session_id, None) is not None:
            self._feed(SessionGone(session_id))

    def release(self, server: ServerConnection) -> None:
        """Take a clean connection back; a cancel that is on its way to it must not hit the next session."""
        now = monotonic()
        held_s, server.holder = now - server.assigned_at, None
        statistics = self.statistics
        statistics.busy_s += held_s
        statistics.held[bisect_left(BOUNDS_S, held_s)] += 1
        self._settle_writes(server, is_in_doubt=False)
        if server.memory.cancels:
            self._held.add(server)
            return
        if not self._state.give_back(now, server.server_id) and not self._pass_on(now, server):
            self._feed(ServerReturned(server.server_id))

    def _pass_on(self, now: float, server: ServerConnection) -> bool:
        """Give a connection that comes back to whoever waits; False: the state has to decide."""
        if self._is_passing or self._is_closed:
            return False  # one that needed it for nothing: no recursion through all who wait
        passed = self._state.pass_on(now, server.server_id)
        if passed is None:
            return False
        session_id, waited_s = passed
        self._note_wait(waited_s)
        server.assigned_at = now
        self._is_passing = True
        try:
            self._waiters.pop(session_id).server_assigned(server)
        finally:
            self._is_passing = False
        return True

    def _note_wait(self, waited_s: float) -> None:
        statistics = self.statistics
        statistics.waited += 1
        statistics.wait_s += waited_s
        statistics.waits[bisect_left(BOUNDS_S, waited_s)] += 1

    def discard(self, server: ServerConnection) -> None:
        """Take a connection back that nobody must use any more."""
        server.holder = None
        self._settle_writes(server, is_in_doubt=True)
        if server.server_id in self._servers:
            self._feed(ServerBroke(server.server_id))

    def _settle_writes(self, server: ServerConnection, *, is_in_doubt: bool) -> None:
        """Tell of changes whose session did not wait for their end."""
        self.shared.end_change(server.memory)
        writes, cache = server.memory.writes, self.shared.cache
        if writes is not None and cache is not None:
            server.memory.writes = None
            cache.settled(writes, is_in_doubt=is_in_doubt)

    def close_idle(self) -> None:
        """Close the connections that nobody uses, and the others when they come back."""
        self._feed(ReconnectRequested())

    def close_all(self) -> None:
        """Close every connection, whoever has it."""
        self.close_idle()
        for server in list(self._servers.values()):
            if server.holder is None:
                self.discard(server)
            else:  # a question of the pool's own, or a login: it hears of the end when the transport does
                server.last_error = killed()
                server.close()

    @property
    def target(self) -> Target:
        """Where the connections go."""
        return self.opener.target

    def retarget(self, target: Target, *, is_own_account: bool) -> None:
        """Go to another place from now on; connections to the old one are not used for another transaction."""
        self.opener.is_own_account = is_own_account
        if target != self.opener.target:
            self.opener.target = target
            self.shared.login = target.user
            self.shared.epoch += 1  # names may mean something else there
            self.parameters = None
            self._logins.clear()
            self.starts.clear()
            self.close_idle()

    @property
    def is_busy(self) -> bool:
        """Whether a session has one of its connections, or waits for one."""
        return bool(self._waiters) or bool(self._state.count(Phase.USED))

    def warm_up(self) -> None:
        """Open what the rules want to be open."""
        self._feed(TimePassed())

    @property
    def state(self) -> PoolState:
        """Who has what; to be looked at only."""
        return self._state

    def servers(self) -> Mapping[int, ServerConnection]:
        """Return the connections that are logged in."""
        return self._servers

    def pause(self) -> None:
        """Assign no connection until ``resume``, and leave the database as far as nobody is in the middle of something.

        Whoever waits goes on waiting.
        """
        if not self._state.is_paused:
            self._is_quiet.clear()
            self._feed(PauseRequested())
            self.close_idle()

    async def wait_quiet(self) -> None:
        """Wait until no connection is in use, or the pool is not paused any more.

        Cancellation: safe; the pool stays paused.
        """
        await self._is_quiet.wait()

    def resume(self) -> None:
        """Assign connections again."""
        if self._state.is_paused:
            self._feed(ResumeRequested())
        self._is_quiet.set()

    def set_rules(self, rules: Rules) -> None:
        """Go on with these numbers."""
        if rules != self._state.rules:
            self._feed(RulesChanged(rules))

    def cancel(self, server: ServerConnection, on_done: Callable[[], None] | None = None) -> None:
        """Cancel what a connection does; ``on_done`` follows when the server has taken it or is out of reach."""
        server.memory.cancels += 1
        self._run(self._cancel(server, server.memory, on_done))

    async def _cancel(self, server: ServerConnection, memory: ServerMemory, on_done: Callable[[], None] | None) -> None:
        is_over = False
        try:
            is_over = await self.opener.cancel(server)
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
        self.starts.clear()
        self._logins[tuple(settings.items())] = dict(parameters)
        if len(self._logins) > _MAX_LOGINS:
            self._logins.popitem(last=False)

    def close(self) -> None:
        """Close every connection, and stop what is on its way."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self.listener.close()
        self.catalogue.close()
        for server in list(self._servers.values()):
            server.close()

    @property
    def mode(self) -> Mode:
        """When a session gives its server connection back."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """Sessions that have a connection go on as they are."""
        self._mode = mode
        self.shared.is_session_mode = mode is Mode.SESSION

    async def aclose(self) -> None:
        """Close every connection, and wait for what is on its way.

        Cancellation: safe.
        """
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_pin(self, session_id: int, reason: str, statement: str) -> None:
        self.pinned += 1
        # Without the name that a client gave something, or there would be numbers without end.
        self.statistics.pins[reason.partition(' "')[0]] += 1

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

    def _wake_for(self, deadline: float) -> None:
        """Look again then at the latest."""
        timer = self._timer
        if timer is not None:
            if timer.when() <= deadline:
                return
            timer.cancel()
        self._timer = self._loop.call_later(max(deadline - monotonic(), 0.0), self._feed, TimePassed())

    def _perform(self, action: Action) -> None:
        match action:
            case Assign(session_id, server_id, waited_s):
                self._note_wait(waited_s)
                self._servers[server_id].assigned_at = monotonic()
                self._waiters.pop(session_id).server_assigned(self._servers[server_id])
            case Reject(session_id, reason, waited_s):
                self.statistics.rejected[reason.name.lower()] += 1
                self.statistics.wait_s += waited_s
                self._waiters.pop(session_id).server_refused(reason, waited_s, self.last_error)
            case OpenServer(server_id):
                self._run(self._open(server_id))
            case Paused():
                self._is_quiet.set()
            case CloseServer(server_id):
                server = self._servers.pop(server_id, None)
                if server is not None:
                    server.close()
                self._loop.call_soon(self._feed, ServerClosed(server_id))
            case ProbeServer(server_id):
                HealthProbe(self._servers[server_id], self._probed)

    def _run(self, work: object) -> None:
        self._tasks.add(spawn(work, name="longshore pool", on_done=self._tasks.discard))  # type: ignore[arg-type]

    async def _open(self, server_id: int) -> None:
        try:
            server = await self.opener.open(server_id, self._on_lost)
        except LoginFailed as exc:
            self.last_error = exc
            self._feed(ServerFailed(server_id, exc.is_permanent))
            return
        server.statistics = self.statistics
        self._servers[server_id] = server
        self.last_error = None
        if self.parameters is None:
            self.parameters = dict(server.memory.parameters)
            self.starts.clear()
        lifetime_s = self._state.rules.lifetime_s * random.uniform(0.9, 1.0)  # noqa: S311 - spreads reconnects
        self._feed(ServerOpened(server_id, lifetime_s))

    async def _open_listener(self, on_lost: Callable[[ServerConnection], None]) -> ServerConnection:
        return await self.opener.open(0, on_lost)

    def _probed(self, server: ServerConnection, is_alive: bool) -> None:
        # Soon: the answer may have come within _feed.
        self._loop.call_soon(self._feed_probed, server, is_alive)

    def _feed_probed(self, server: ServerConnection, is_alive: bool) -> None:
        if self._servers.get(server.server_id) is not server:
            return
        self._feed(ServerReturned(server.server_id) if is_alive else ServerBroke(server.server_id))

    def _on_lost(self, server: ServerConnection) -> None:
        self._held.discard(server)
        self._settle_writes(server, is_in_doubt=True)
        if server.server_id in self._servers:
            self._feed(ServerBroke(server.server_id))
