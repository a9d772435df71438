"""Who has which server connection of one pool (PURE): ``PoolState.step(now, event) -> actions``.

A pool is all connections to one database as one account.

    OPENING ──opened──► IDLE ──────assigned──────► USED
       │                 ▲ │ └─idle for long─► PROBED │
       │                 │ └─too old, too many─┐  │   │ returned
       └─failed─► gone   └───────◄─────────────┼──┴───┘
                                               ▼ broke
                                            CLOSING ──closed──► gone

Rules that must not be broken:

1. A connection has at most one session, and a session at most one connection.
2. Whoever waits is assigned or rejected, exactly once, unless it goes; rejected no later than its time-out.
3. There are never more connections than ``size``, those that are being opened or closed included: a database that
   allows exactly so many must not refuse one of ours.
4. When a connection is free it goes to a waiting tenant that has the fewest (max-min fairness), and there to the
   session that waits longest. Of the free ones the last used goes first (LIFO): the others may grow idle and be closed.
5. A login that fails is not tried again at once, and not by several at the same time.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

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
    Rules,
    RulesChanged,
    ServerBroke,
    ServerClosed,
    ServerFailed,
    ServerOpened,
    ServerReturned,
    SessionGone,
    SessionWaits,
    TimePassed,
    back_off_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Phase", "PoolState"]


class Phase(IntEnum):
    """Where a server connection is."""

    OPENING = auto()
    IDLE = auto()
    USED = auto()
    PROBED = auto()
    CLOSING = auto()


# For the hot path: a member of an enumeration costs a look-up in its class each time.
_IDLE, _USED = Phase.IDLE, Phase.USED


class _Server:
    __slots__ = ("epoch", "phase", "retire_at", "since", "tenant")

    def __init__(self, epoch: int, since: float) -> None:
        self.phase = Phase.OPENING
        self.epoch = epoch
        """Connections of an earlier epoch are not used again (``ReconnectRequested``)."""
        self.since = since
        """When it came to be so."""
        self.retire_at = 0.0
        self.tenant = ""
        """Of the session that has it."""


class _Waiter:
    __slots__ = ("since", "tenant")

    def __init__(self, tenant: str, since: float) -> None:
        self.tenant = tenant
        self.since = since


class PoolState:
    """The connections of one pool, and who waits for them.

    Args:
        rules: the numbers.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._servers: dict[int, _Server] = {}
        self._idle: list[int] = []  # the last used at the end
        self._waiters: dict[int, _Waiter] = {}  # in the order of arrival
        self._waiting: dict[str, int] = {}  # how many, by tenant
        self._in_use: dict[str, int] = {}  # by tenant
        self._counts = [0] * (max(Phase) + 1)  # by phase
        self._last_id = 0
        self._epoch = 0
        self._failures = 0  # in a row
        self._failing_since = 0.0  # the first of these
        self._open_at = 0.0  # not before
        self._is_paused = False
        self._is_pause_told = False

    # -- what may be asked -----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many sessions wait."""
        return len(self._waiters)

    @property
    def failures(self) -> int:
        """How many logins failed in a row."""
        return self._failures

    def longest_wait_s(self, now: float) -> float:
        """Return how long the session waits that waits longest; 0 when none does."""
        return max((now - waiter.since for waiter in self._waiters.values()), default=0.0)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is assigned until ``ResumeRequested``."""
        return self._is_paused

    def count(self, phase: Phase) -> int:
        """Return how many connections are in ``phase``."""
        return self._counts[phase]

    @property
    def rules(self) -> Rules:
        """The numbers in force."""
        return self._rules

    def waits_since(self, session_id: int) -> float | None:
        """Return when a session began to wait; None when it does not."""
        waiter = self._waiters.get(session_id)
        return None if waiter is None else waiter.since

    def since(self, server_id: int) -> float | None:
        """Return when a connection came to be in its phase; None when there is no such connection."""
        server = self._servers.get(server_id)
        return None if server is None else server.since

    def is_outdated(self, server_id: int) -> bool:
        """Return whether a connection will be closed when it comes back."""
        server = self._servers.get(server_id)
        return server is not None and server.epoch < self._epoch

    def servers(self) -> Iterator[tuple[int, Phase]]:
        """Return every connection with its phase."""
        return ((server_id, server.phase) for server_id, server in self._servers.items())

    def deadline(self) -> float | None:
        """Return when ``TimePassed`` is due, None when nothing depends on the time."""
        rules = self._rules
        times = [waiter.since + rules.wait_timeout_s for waiter in self._first_waiter() if not self._is_paused]
        if (self._wants_more() or self._lacks_idle()) and not self._is_opening() and not self._is_paused:
            times.append(self._open_at)
        times += (self._servers[server_id].retire_at for server_id in self._idle)
        if self._may_shrink():
            times.append(self._servers[self._idle[0]].since + rules.idle_timeout_s)
        return min(times, default=None)

    # -- events in -------------------------------------------------------------------------------

    def step(self, now: float, event: Event) -> list[Action]:
        """Take an event; return what to do, in this order.

        Args:
            now: monotonic clock, in seconds.
            event: what happened.
        """
        actions: list[Action] = []
        match event:
            case SessionWaits():
                self._wait(now, event, actions)
            case SessionGone(session_id):
                if session_id in self._waiters:
                    self._drop_waiter(session_id)
            case ServerReturned(server_id):
                self._returned(now, server_id, actions)
            case ServerOpened(server_id, lifetime_s):
                self._opened(now, server_id, lifetime_s, actions)
            case ServerFailed(server_id, is_permanent):
                self._failed(now, server_id, is_permanent, actions)
            case ServerBroke(server_id):
                self._leave_session(self._servers[server_id])
                self._close(server_id, "broken", actions)
            case ServerClosed(server_id):
                self._forget(server_id)
            case _:
                self._obey(now, event, actions)
        self._settle(now, actions)
        return actions

    def _obey(self, now: float, event: Event, actions: list[Action]) -> None:
        """Take an order of the operator; the time that passes changes nothing by itself."""
        match event:
            case PauseRequested():
                self._is_paused, self._is_pause_told = True, False
            case ResumeRequested():
                self._is_paused = False
                for waiter in self._waiters.values():
                    waiter.since = now  # nobody is refused because of the operator
            case ReconnectRequested():
                self._epoch += 1
                for server_id in list(self._idle):
                    self._close(server_id, "reconnect", actions)
            case RulesChanged(rules):
                self._rules = rules
            case _:
                assert isinstance(event, TimePassed), event

    # -- the same for the usual cases ------------------------------------------------------------

    def take(self, now: float, tenant: str = "") -> int | None:
        """Assign a connection at once: nobody waits, one is there. None: it takes ``SessionWaits``.

        What ``step`` would do, without its costs: this happens twice in every transaction.
        """
        if self._waiters or not self._idle or self._is_paused:
            return None
        server = self._servers[self._idle[-1]]
        if now > server.since + self._rules.probe_after_s or now >= server.retire_at:
            return None
        self._use(server, tenant)
        server.since = now
        return self._idle.pop()

    def give_back(self, now: float, server_id: int) -> bool:
        """Take a clean connection back: nobody waits. False: it takes ``ServerReturned``."""
        server = self._servers[server_id]
        if self._waiters or self._is_paused or server.epoch < self._epoch or now >= server.retire_at:
            return False
        if server.phase is not _USED or len(self._servers) > self._rules.size:
            return False
        self._leave_session(server)
        self._enter(server, _IDLE)
        server.since = now
        self._idle.append(server_id)
        return True

    def wait(self, now: float, session_id: int, tenant: str = "") -> bool:
        """Have a session wait: all connections are in use, with no room for more. False: it takes ``SessionWaits``."""
        waiters, rules = self._waiters, self._rules
        if self._idle or self._is_paused or len(self._servers) < rules.size or len(waiters) >= rules.max_waiting:
            return False
        if session_id in waiters:
            return False
        self._add_waiter(session_id, tenant, now)
        return True

    def pass_on(self, now: float, server_id: int) -> tuple[int, float] | None:
        """Assign a clean connection that comes back to the next session: all who wait are of one tenant.

        Returns:
            The session, and how long it has waited. None: it takes ``ServerReturned``.
        """
        if len(self._waiting) != 1 or self._idle or self._is_paused:
            return None
        server = self._servers[server_id]
        if server.phase is not _USED or server.epoch < self._epoch or now >= server.retire_at:
            return None
        if len(self._servers) > self._rules.size:
            return None
        session_id = next(iter(self._waiters))
        waiter = self._waiters[session_id]
        if now >= waiter.since + self._rules.wait_timeout_s:
            return None
        self._drop_waiter(session_id)
        self._leave_session(server)
        self._use(server, waiter.tenant)
        server.since = now
        return session_id, now - waiter.since

    def _wait(self, now: float, event: SessionWaits, actions: list[Action]) -> None:
        assert event.session_id not in self._waiters, "it waits already"
        if not self._idle and len(self._waiters) >= self._rules.max_waiting:
            actions.append(Reject(event.session_id, RejectReason.TOO_MANY, 0.0))
            return
        if now < self._open_at and self._is_outage(now):
            # The next attempt is for who comes after ``_open_at``: it is the attempts that tell when the outage ends.
            actions.append(Reject(event.session_id, RejectReason.CANNOT_LOG_IN, 0.0))
            return
        self._add_waiter(event.session_id, event.tenant, now)

    def _opened(self, now: float, server_id: int, lifetime_s: float, actions: list[Action]) -> None:
        self._failures, self._open_at = 0, 0.0
        self._servers[server_id].retire_at = now + lifetime_s
        self._free(now, server_id, actions)

    def _failed(self, now: float, server_id: int, is_permanent: bool, actions: list[Action]) -> None:
        self._forget(server_id)
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        self._open_at = now + back_off_s(self._failures)
        if (is_permanent and not self._is_any_alive()) or self._is_outage(now):
            for session_id, waiter in self._waiters.items():
                actions.append(Reject(session_id, RejectReason.CANNOT_LOG_IN, now - waiter.since))
            self._waiters.clear()
            self._waiting.clear()

    def _is_outage(self, now: float) -> bool:
        """Return whether the database has been out of reach for longer than anybody should wait for it."""
        is_long = self._failures > 0 and now - self._failing_since >= self._rules.outage_s
        return is_long and not self._is_paused and not self._is_any_alive()

    def _returned(self, now: float, server_id: int, actions: list[Action]) -> None:
        server = self._servers[server_id]
        if server.phase is Phase.CLOSING:
            return  # it was given up meanwhile
        self._leave_session(server)
        self._free(now, server_id, actions)

    def _free(self, now: float, server_id: int, actions: list[Action]) -> None:
        """Keep a connection for the next session, or close it when it has had its day."""
        server = self._servers[server_id]
        if server.epoch < self._epoch:
            self._close(server_id, "reconnect", actions)
        elif now >= server.retire_at:
            self._close(server_id, "lifetime", actions)
        else:
            self._enter(server, Phase.IDLE)
            server.since = now
            self._idle.append(server_id)

    # -- decisions -------------------------------------------------------------------------------

    def _settle(self, now: float, actions: list[Action]) -> None:
        """Do what the state calls for."""
        self._reject_late(now, actions)
        self._retire(now, actions)
        self._assign(now, actions)
        self._open(now, actions)
        if self._is_paused and not self._is_pause_told and not self._counts[Phase.USED] + self._counts[Phase.PROBED]:
            self._is_pause_told = True
            actions.append(Paused())

    def _reject_late(self, now: float, actions: list[Action]) -> None:
        while self._waiters and not self._is_paused:
            session_id, waiter = next(iter(self._waiters.items()))
            if now < waiter.since + self._rules.wait_timeout_s:
                return
            self._drop_waiter(session_id)
            actions.append(Reject(session_id, RejectReason.TIMED_OUT, now - waiter.since))

    def _retire(self, now: float, actions: list[Action]) -> None:
        for server_id in [each for each in self._idle if now >= self._servers[each].retire_at]:
            self._close(server_id, "lifetime", actions)
        while self._idle and len(self._servers) - self.count(Phase.CLOSING) > self._rules.size:
            self._close(self._idle[0], "size", actions)
        while self._may_shrink():
            if now < self._servers[self._idle[0]].since + self._rules.idle_timeout_s:
                return
            self._close(self._idle[0], "idle", actions)

    def _assign(self, now: float, actions: list[Action]) -> None:
        while self._waiters and self._idle and not self._is_paused:
            server_id = self._idle.pop()
            server = self._servers[server_id]
            if now > server.since + self._rules.probe_after_s:
                self._enter(server, Phase.PROBED)
                actions.append(ProbeServer(server_id))
                continue
            session_id = self._next_waiter()
            waiter = self._drop_waiter(session_id)
            self._use(server, waiter.tenant)
            server.since = now
            actions.append(Assign(session_id, server_id, now - waiter.since))

    def _next_waiter(self) -> int:
        """Return who is to be served next (rule 4)."""
        first: dict[str, int] = {}
        for session_id, waiter in self._waiters.items():
            first.setdefault(waiter.tenant, session_id)
        # The order of arrival decides between tenants that have equally many.
        return min(first.items(), key=lambda item: self._in_use.get(item[0], 0))[1]

    def _open(self, now: float, actions: list[Action]) -> None:
        if now < self._open_at or self._is_paused:
            return
        while self._wants_more() or self._lacks_idle():
            if self._failures and self._is_opening():
                return  # one tries whether it works again
            self._last_id += 1
            self._servers[self._last_id] = _Server(self._epoch, now)
            self._counts[Phase.OPENING] += 1
            actions.append(OpenServer(self._last_id))

    # -- small things ----------------------------------------------------------------------------

    def _first_waiter(self) -> Iterator[_Waiter]:
        for waiter in self._waiters.values():
            yield waiter
            return

    def _wants_more(self) -> bool:
        """Whether somebody waits for whom no connection is on its way, and there is room for one."""
        coming = self.count(Phase.OPENING) + self.count(Phase.PROBED)
        return len(self._waiters) > coming + len(self._idle) and len(self._servers) < self._rules.size

    def _lacks_idle(self) -> bool:
        alive = len(self._servers) - self.count(Phase.CLOSING)
        return alive < self._rules.min_idle and len(self._servers) < self._rules.size

    def _may_shrink(self) -> bool:
        return bool(self._idle) and len(self._servers) - self.count(Phase.CLOSING) > self._rules.min_idle

    def _is_opening(self) -> bool:
        return self.count(Phase.OPENING) > 0

    def _is_any_alive(self) -> bool:
        return len(self._servers) > self._counts[Phase.OPENING] + self._counts[Phase.CLOSING]

    def _enter(self, server: _Server, phase: Phase) -> None:
        self._counts[server.phase] -= 1
        self._counts[phase] += 1
        server.phase = phase

    def _add_waiter(self, session_id: int, tenant: str, now: float) -> None:
        self._waiters[session_id] = _Waiter(tenant, now)
        self._waiting[tenant] = self._waiting.get(tenant, 0) + 1

    def _drop_waiter(self, session_id: int) -> _Waiter:
        waiter = self._waiters.pop(session_id)
        _less(self._waiting, waiter.tenant)
        return waiter

    def _use(self, server: _Server, tenant: str) -> None:
        self._enter(server, _USED)
        server.tenant = tenant
        self._in_use[tenant] = self._in_use.get(tenant, 0) + 1

    def _leave_session(self, server: _Server) -> None:
        if server.phase is _USED:
            _less(self._in_use, server.tenant)
            server.tenant = ""

    def _close(self, server_id: int, reason: str, actions: list[Action]) -> None:
        server = self._servers[server_id]
        if server.phase is Phase.CLOSING:
            return
        if server.phase is Phase.IDLE:
            self._idle.remove(server_id)
        self._enter(server, Phase.CLOSING)
        actions.append(CloseServer(server_id, reason))

    def _forget(self, server_id: int) -> None:
        self._counts[self._servers.pop(server_id).phase] -= 1


def _less(counts: dict[str, int], tenant: str) -> None:
    """Take one away; who has none is not kept."""
    left = counts[tenant] - 1
    if left:
        counts[tenant] = left
    else:
        del counts[tenant]
