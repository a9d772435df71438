"""The process of ``longshore pool``: it listens, serves, reloads and ends (shell).

Everything happens in one event loop; the parts are ``Gates`` (where clients come in), ``Pools`` (what they get),
``Watch`` (what is said about it), ``Control`` (a successor) and ``Predecessor`` (whom we succeed).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket  # noqa: TC003 - in a dataclass
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.config.errors import ConfigError
from longshore.pool.cache.read_cache import ReadCache
from longshore.pool.cache.redis_store import RedisStore
from longshore.pool.pools import Pools
from longshore.pool.standalone import events as said
from longshore.pool.standalone.checking import NO_PACKAGE
from longshore.pool.standalone.control import Control
from longshore.pool.standalone.door import Door
from longshore.pool.standalone.gates import Gates, given
from longshore.pool.standalone.leave_taking import say_good_bye
from longshore.pool.standalone.listeners import ListenFailed
from longshore.pool.standalone.notify import READY, STOPPING, notify, reloading
from longshore.pool.standalone.predecessor import Predecessor, no_predecessor
from longshore.pool.standalone.scrapes import Scrapes
from longshore.pool.standalone.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from longshore.pool.pool import Pool
    from longshore.pool.standalone.events import EventSink
    from longshore.pool.standalone.model import PoolSettings

__all__ = ["PoolProcess", "ProcessOptions", "StoreFailed"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOOK_EVERY_S = 0.02
_SOON_S = 1.0
_LOOK_LATER_S = 0.25
_IDLE_S = 1.0


class StoreFailed(Exception):
    """The store of the read cache cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """How the process behaves, beside its configuration."""

    grace_s: float = 30.0
    """How long clients may take to end their transactions when it stops."""
    drain_s: float | None = None
    """How long clients that cannot be moved may stay after a successor took over; None: as long as they like."""
    is_replacing: bool = False
    """Take the place of the process that runs with this configuration."""
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[socket.socket] = ()
    """Listening sockets that somebody opened for us (systemd)."""


class PoolProcess:
    """One ``longshore pool``.

    Args:
        settings: the configuration.
        load: loads it again, for SIGHUP; None when there is no file.
        sink: is told everything.
        options: see there.
    """

    def __init__(
        self,
        settings: PoolSettings,
        load: Callable[[], PoolSettings] | None,
        sink: EventSink,
        options: ProcessOptions,
    ) -> None:
        self.settings = settings
        self.options = options
        self.sink = sink
        self._load = load
        self._turn = asyncio.Event()  # something happened that the main loop must look at
        self._stops = 0
        self._is_superseded = False
        self._is_closing_time = False
        self._drain_s: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._store: RedisStore | None = None

    async def run(self) -> int:
        """Serve until it is stopped or another process took over; return the exit code.

        Raises:
            ListenFailed: a place cannot be listened at.
        StoreFailed: there is no way to talk to the store of the read cache.
            TakeOverFailed: there is no process to replace, or it refuses.

        Cancellation: closes everything at once.
        """
        settings = self.settings
        self.predecessor = await self._meet()
        self.gates = Gates(self.predecessor.sockets or given(settings.listen, self.options.given))
        self.watch = Watch(self.sink, is_verbose=settings.is_verbose)
        self.scrapes = Scrapes(settings.metrics, self.sink)
        try:
            self.gates.open(settings.listen)
            self._store = self._open_store()
            cache = ReadCache(monotonic, remote=self._store)
            self.pools = Pools(settings.databases, on_pin=self._on_pin, read_cache=cache)
            if self.predecessor.is_there:
                self.pools.read_cache.suspend()
            self.watch.begin(self.pools)
            self.door = Door(self)
            self.control = Control(self)
            await self._serve()
        finally:
            await self._close()
        self.sink(said.Stopped())
        return 0

    def _open_store(self) -> RedisStore | None:
        address = self.settings.cache_store
        if address is None:
            return None
        try:
            store = RedisStore(address, monotonic, tell=lambda name, why: self.sink(said.CacheStore(name, why)))
        except ImportError as exc:
            raise StoreFailed(f"the store of the read cache: {NO_PACKAGE}") from exc
        store.begin()
        return store

    async def _meet(self) -> Predecessor:
        if self.options.is_replacing and self.settings.control is not None:
            return await Predecessor.meet(self.settings.control, self)
        return no_predecessor()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self.control.open(self.predecessor.control)
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        await self.gates.start(self.door.start_of_client)
        self.sink(said.Listening(self.gates.addresses()))
        if self.settings.is_json:
            self._tell_notices()  # otherwise the banner has
        if self.predecessor.has_place:
            await self.scrapes.open(self.pools, waits=False)
        else:
            self.predecessor.begin()
            self.background(self._serve_metrics())
        notify(f"{READY}\nMAINPID={os.getpid()}", self.options.environment)
        while not self._stops:
            await self._turn.wait()
            self._turn.clear()
            if (self._is_superseded or self._is_closing_time) and await self._is_moved():
                return
        await self._end()

    async def _is_moved(self) -> bool:
        """Hand clients over until there are none (True), or something else happens."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = None if self._drain_s is None else began + self._drain_s
        self.predecessor.stand_down(is_stopping=self._is_closing_time)
        self._give_up_idle()
        while (self._is_superseded or self._is_closing_time) and not self._stops:
            self.control.move_clients()
            if not (self.pools.clients or self.pools.starting or self.control.is_moving or self.predecessor.is_there):
                return True
            if deadline is not None and loop.time() >= deadline:
                await say_good_bye(self.pools, self.options.grace_s)
                return True
            # Who comes to rest is moved at once; this finds those who were at rest, and sees the end.
            await asyncio.sleep(_LOOK_EVERY_S if loop.time() < began + _SOON_S else _LOOK_LATER_S)
        return False

    def _give_up_idle(self) -> None:
        """Keep no server connection that nobody needs: the successor opens its own."""
        for pool in self.pools.pools():
            pool.set_rules(replace(pool.state.rules, min_idle=0, idle_timeout_s=_IDLE_S))
            pool.on_rest = self.control.rested

    # -- ending ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop: the first time in good order, the second time at once."""
        self._stops += 1
        self._turn.set()
        if self._stops > 1:
            for client in list(self.pools.clients.values()):
                client.abort()

    def stop_at_once(self) -> None:
        """Stop without waiting for anybody."""
        self.stop()
        self.stop()

    def stop_when_empty(self) -> None:
        """Let nobody in any more, and stop when the last client has gone."""
        self._is_closing_time = True
        self._refuse_new()
        self._turn.set()

    def supersede(self, drain_s: float | None) -> None:
        """Accept no more: a successor does.

        Args:
            drain_s: how long clients that cannot be moved may stay; None: as our own options say.
        """
        self._drain_s = self.options.drain_s if drain_s is None else drain_s
        self._is_superseded = True
        self.background(self.scrapes.close())
        self.gates.stop()
        self._turn.set()

    def resume(self) -> None:
        """Accept again: the successor is gone."""
        self._is_superseded = False
        self.pools.reload(self.settings.databases)
        for pool in self.pools.pools():
            pool.on_rest = None
        self.background(self.gates.start(self.door.start_of_client))
        self.background(self._serve_metrics())

    async def _serve_metrics(self) -> None:
        """Have the port as soon as the other process gives it up; without it clients are served all the same."""
        try:
            await self.scrapes.open(self.pools, waits=True)
        except ListenFailed as exc:
            self.sink(said.MetricsFailed(str(exc)))

    def _refuse_new(self) -> None:
        """Close the door for good: neither clients nor a successor may come."""
        self.control.stop_accepting()
        self.gates.close(is_last=self._is_last)

    @property
    def _is_last(self) -> bool:
        """Whether nobody else listens at our places."""
        return self.predecessor.has_place and not self._is_superseded

    async def _end(self) -> None:
        notify(STOPPING, self.options.environment)
        self._refuse_new()
        self.predecessor.stand_down(is_stopping=True)
        self.sink(said.Stopping(len(self.pools.clients), self.options.grace_s))
        left = await say_good_bye(self.pools, self.options.grace_s)
        if left and self._stops == 1:
            self.sink(said.StoppingSlowly(left))

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (*_SIGNALS, signal.SIGHUP):
            loop.remove_signal_handler(number)
        self.watch.close()
        await self.scrapes.close()
        is_last = self._is_last
        self.gates.close(is_last=is_last)
        self.predecessor.close()
        if hasattr(self, "control"):
            self.control.close(is_last=is_last)
        if hasattr(self, "pools"):
            await self.pools.aclose()
        if self._store is not None:
            await self._store.aclose()
        if hasattr(self, "door"):
            await self.door.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what happens meanwhile ------------------------------------------------------------------

    def background(self, work: Coroutine[None, None, None]) -> None:
        """Run something that ends with the process."""
        self._tasks.add(spawn(work, name="longshore pool process", on_done=self._tasks.discard))

    def reload(self) -> None:
        """Read the configuration again.

        Raises:
            ConfigError: it is wrong; the former stays in force.
        """
        if self._load is None:
            return
        fresh = self._load()
        former, self.settings = self.settings, replace(fresh, is_verbose=self.settings.is_verbose)
        self.pools.reload(fresh.databases)
        self.door.reload()
        self.sink(said.Reloaded(len(fresh.databases), _not_applied(former, fresh)))
        self._tell_notices()

    def _tell_notices(self) -> None:
        for each in self.settings.notices:
            self.sink(said.ConfigNotice(each.key_path, each.message))

    def _on_hangup(self) -> None:
        environment = self.options.environment
        notify(reloading(), environment)
        try:
            self.reload()
        except ConfigError as exc:
            self.sink(said.ReloadRejected(tuple(map(str, exc.problems))))
        notify(READY, environment)

    def _on_pin(self, pool: Pool, session_id: int, reason: str, statement: str) -> None:
        client = self.pools.clients.get(session_id)
        self.watch.pinned(pool, session_id, reason, statement, client.login.user if client is not None else "")


def _not_applied(former: PoolSettings, fresh: PoolSettings) -> tuple[str, ...]:
    """Return the keys that changed and that only a new process takes."""
    kept = ("listen", "metrics", "control", "is_json", "cache_store")
    names = {"is_json": "log"}
    return tuple(f"pool.{names.get(key, key)}" for key in kept if getattr(former, key) != getattr(fresh, key))
