"""What an operator should hear of the pools while they work (shell)."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.pool.clients.peer import shown_peer
from longshore.pool.standalone import events as said
from longshore.pool.standalone.figures import Totals, figures, totals

if TYPE_CHECKING:
    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.clients.door import RefusedLogin
    from longshore.pool.pool import Pool
    from longshore.pool.pools import Pools
    from longshore.pool.standalone.events import EventSink

__all__ = ["Watch"]

MINUTE_S: Final = 60.0
LOOK_EVERY_S: Final = 1.0
LONG_WAIT_S: Final = 5.0
"""Sessions that wait for so long are worth a line."""
TELL_AGAIN_S: Final = 60.0
MAX_EXPLAINED: Final = 10_000
"""Pins that are remembered, so as not to explain them again."""
MAX_STATEMENT_CHARS: Final = 1_000
"""Of a statement that is remembered and told: a client can send megabytes."""


class Watch:
    """Looks at the pools every second.

    Args:
        sink: is told.
        is_verbose: also of every login.
    """

    def __init__(self, sink: EventSink, *, is_verbose: bool = False) -> None:
        self._sink = sink
        self._is_verbose = is_verbose
        self._pools: Pools | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._explained: set[tuple[str, str, str]] = set()
        self._told_wait: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._opened: dict[str, int] = {}
        self._clients: dict[int, ClientConnection] = {}
        self._totals = Totals()
        self._totals_at = monotonic()

    def begin(self, pools: Pools) -> None:
        """Look from now on."""
        self._pools = pools
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def remembered(self) -> set[str]:
        """The pools of which something is kept, as ``account@database``."""
        return self._failures.keys() | self._opened.keys() | self._told_wait.keys()

    def pinned(self, pool: Pool, session_id: int, reason: str, statement: str, user: str) -> None:
        """Explain a pin, once for each reason and statement."""
        shown = statement[:MAX_STATEMENT_CHARS]
        key = (pool.name, reason, shown)
        if key in self._explained or len(self._explained) >= MAX_EXPLAINED:
            return
        self._explained.add(key)
        self._sink(said.Pinned(pool.name, user or pool.target.user, session_id, reason, shown))

    def logged_in(self, client: ClientConnection) -> None:
        """Tell of a client that was let in."""
        if self._is_verbose:
            login = client.login
            self._clients[login.session_id] = client
            address = shown_peer(client.transport)
            self._sink(said.ClientLoggedIn(login.session_id, login.user, login.database, address))

    def refused(self, refused: RefusedLogin) -> None:
        """Tell of one that was not."""
        reason = refused.error.message + (f" ({refused.reason})" if refused.reason else "")
        error = refused.error
        self._sink(said.LoginRefused(refused.user, refused.database, refused.address, error.sqlstate, reason))

    def _look(self) -> None:
        assert self._pools is not None
        now = monotonic()
        pools = list(self._pools.pools())
        self._forget_all_but({_key(pool) for pool in pools})
        for pool in pools:
            self._look_at_logins(pool)
            self._look_at_opened(pool)
            self._look_at_waiting(pool, now)
        self._look_at_gone(self._pools)
        if now - self._totals_at >= MINUTE_S:
            self._tell_figures(now)
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _forget_all_but(self, keys: set[str]) -> None:
        """Keep nothing of pools that are gone: with the database ``*``, clients choose the names."""
        for table in (self._failures, self._opened, self._told_wait):
            for key in table.keys() - keys:
                del table[key]

    def _look_at_logins(self, pool: Pool) -> None:
        """Tell of logins that fail: the first, and then each time the number has doubled."""
        failures, former = pool.state.failures, self._failures.get(_key(pool), 0)
        if (failures and not former) or failures >= 2 * former > 0:
            self._failures[_key(pool)] = failures
            reason = str(pool.last_error or "no reason was given")
            self._sink(said.ServerLoginFailed(pool.name, pool.target.user, reason, failures))
        elif former and not failures:
            del self._failures[_key(pool)]
            self._sink(said.ServerLoginWorks(pool.name, pool.target.user))

    def _look_at_opened(self, pool: Pool) -> None:
        opened = pool.statistics.server_logins
        former, self._opened[_key(pool)] = self._opened.get(_key(pool), 0), opened
        if self._is_verbose and opened > former:
            self._sink(said.ServerLogins(pool.name, pool.target.user, opened - former, len(pool.servers())))

    def _look_at_gone(self, pools: Pools) -> None:
        for session_id in [each for each in self._clients if each not in pools.clients]:
            login = self._clients.pop(session_id).login
            self._sink(said.ClientLeft(session_id, login.user, login.database))

    def _look_at_waiting(self, pool: Pool, now: float) -> None:
        longest_s = pool.state.longest_wait_s(now)
        if longest_s < LONG_WAIT_S or now - self._told_wait.get(_key(pool), -TELL_AGAIN_S) < TELL_AGAIN_S:
            return
        self._told_wait[_key(pool)] = now
        state = pool.state
        self._sink(said.SessionsWait(pool.name, pool.target.user, state.waiting, round(longest_s, 3), state.rules.size))

    def _tell_figures(self, now: float) -> None:
        assert self._pools is not None
        pools = list(self._pools.pools())
        fresh = totals(pool.statistics for pool in pools)
        clients = self._pools.clients
        told = figures(
            self._totals,
            fresh,
            now - self._totals_at,
            clients=len(clients),
            servers=sum(len(pool.servers()) for pool in pools),
            waiting=sum(pool.state.waiting for pool in pools),
            pinned=sum(client.is_pinned for client in clients.values()),
        )
        self._totals, self._totals_at = fresh, now
        if clients or fresh.queries:
            self._sink(told)


def _key(pool: Pool) -> str:
    return f"{pool.target.user}@{pool.name}"
