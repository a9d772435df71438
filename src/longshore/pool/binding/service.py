"""``BindingService``: all ``[[hyperdrive]]`` databases of all workers of a host, and their clients (shell).

Theory of operation. A worker process brings its databases and a token. Databases that are the same (server, account,
options) share one ``Pools``, whichever worker they belong to; each worker has its fair part of it, and its cached
results are its own. A database that a worker names at run time (``env.DB.get(…)``) is shared by the processes of that
worker only, as long as they have the same rules.

Rule that must not be broken: a connection belongs to one worker and one binding from the moment it arrives, and reaches
nothing else: neither databases of others nor, by CancelRequest, their sessions.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.pool.binding.client import MAX_HANDLES, BindingDoor, BindingStart
from longshore.pool.binding.databases import declared_database, defined_database
from longshore.pool.binding.egress_dialer import BoundDialer
from longshore.pool.cache.read_cache import ReadCache
from longshore.pool.hot.loop import HotEventLoop
from longshore.pool.pools import Pools
from longshore.proto.ipc.pool import is_handle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.pool.binding.egress_dialer import WorkerDialer
    from longshore.pool.model import Database
    from longshore.pool.pool import Pool
    from longshore.pool.servers.target import Target
    from longshore.proto.ipc.pool import AddDatabases, DefineDatabase

__all__ = ["BindingService"]

MAX_CLIENTS: Final = 4_096
"""Of one worker process; each is a descriptor of ours."""
_SHOWN_CHARS: Final = 200
_PAUSE_S: Final = 0.1
_LEFT_S: Final = 90.0
"""So long are the connections of a database kept that no worker uses any more: a reload replaces all workers."""

logger = logging.getLogger("longshore.pool")


@dataclass(slots=True)
class _Shared:
    """One database, whoever uses it."""

    pools: Pools
    target: Target
    users: dict[int, None] = field(default_factory=dict)
    """Worker processes that use it, the latest last."""
    leaving: asyncio.TimerHandle | None = None


_Key = tuple[object, ...]


@dataclass(slots=True)
class _Worker:
    """One worker process."""

    said: AddDatabases
    doors: dict[str, BindingDoor] = field(default_factory=dict)
    keys: dict[str, _Key] = field(default_factory=dict)
    """Of its declared databases, by binding."""
    defined: OrderedDict[tuple[str, str], _Key] = field(default_factory=OrderedDict)
    """Of those that it has named, by binding and user name."""
    listeners: list[socket.socket] = field(default_factory=list)


class BindingService:
    """Serves workers; made inside the running loop.

    Args:
        dialer: opens the connections to servers.
    """

    def __init__(self, dialer: WorkerDialer) -> None:
        self._dialer = dialer
        self._loop = asyncio.get_running_loop()
        self._read_cache = ReadCache(monotonic)  # one: a write through one binding is one for every other
        self._workers: dict[int, _Worker] = {}
        self._shared: dict[_Key, _Shared] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- workers ---------------------------------------------------------------------------------

    def add(self, said: AddDatabases, listeners: list[socket.socket]) -> None:
        """Serve a worker process.

        Args:
            said: what it has.
            listeners: where it connects to, one for each database, or none; they belong to the service.
        """
        worker = _Worker(said, listeners=listeners)
        self._workers[said.worker_id] = worker
        for database in said.databases:
            try:
                found = declared_database(database)
            except ValueError as exc:  # its clients are told
                logger.error("the database of %s of worker %r: %s", database.binding, said.worker, exc)  # noqa: TRY400
                continue
            worker.keys[database.binding] = self._use(said.worker_id, database.binding, found, ())
        for database in said.databases:
            worker.doors[database.binding] = BindingDoor(
                worker=said.worker,
                binding=database.binding,
                token=said.token,
                find=partial(self._find, worker, database.binding),
            )
        for database, listener in zip(said.databases, listeners, strict=False):
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._accept, worker, database.binding, listener)

    def remove(self, worker_id: int) -> None:
        """End a worker process: its clients are ended, its databases kept for a while."""
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return
        for listener in worker.listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        for door in worker.doors.values():
            door.abort_clients()
        for key in {*worker.keys.values(), *worker.defined.values()}:
            self._leave(worker_id, key)

    def define(self, worker_id: int, definition: DefineDatabase) -> None:
        """Note what a user name stands for, from now on."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return
        binding = next((each for each in worker.said.databases if each.binding == definition.binding), None)
        if binding is None or not is_handle(definition.handle):
            return  # no SDK says that
        door = worker.doors[definition.binding]
        try:
            database = defined_database(definition, binding)
        except ValueError as exc:
            door.refuse(definition.handle, str(exc))
            return
        name = definition.binding, definition.handle
        before = worker.defined.pop(name, None)
        key = self._use(worker_id, definition.binding, database, (worker.said.worker, worker.said.rules))
        worker.defined[name] = key
        gone = [before] if before is not None and before != key else []
        if len(worker.defined) > MAX_HANDLES:
            gone.append(worker.defined.popitem(last=False)[1])
        for each in gone:
            if each not in worker.defined.values() and each not in worker.keys.values():
                self._leave(worker_id, each)
        door.defined(definition.handle)

    # -- clients ---------------------------------------------------------------------------------

    def add_client(self, worker_id: int, binding: str, sock: socket.socket, *, is_private: bool = True) -> None:
        """Serve a connection of a worker.

        Args:
            worker_id: whose.
            binding: through which it came.
            sock: the connection; belongs to the service from now on.
            is_private: whether nobody but the worker can be at the other end.
        """
        worker = self._workers.get(worker_id)
        door = None if worker is None else worker.doors.get(binding)
        if worker is None or door is None:
            sock.close()
            return
        doors = worker.doors.values()
        # To count exactly takes time, and is wanted seldom.
        if sum(each.most for each in doors) >= MAX_CLIENTS and sum(each.count() for each in doors) >= MAX_CLIENTS:
            sock.close()
            logger.warning("worker %r has %d connections to its databases already", worker.said.worker, MAX_CLIENTS)
            return
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        make = partial(BindingStart, door, is_private=is_private)
        if isinstance(self._loop, HotEventLoop):
            self._loop.adopt(sock, make)
            return
        task = spawn(self._serve(make, sock), name=f"client of {binding}", on_done=self._tasks.discard)
        self._tasks.add(task)

    async def _serve(self, make: Callable[[], BindingStart], sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(make, sock)
        except BaseException:
            sock.close()
            raise

    def _accept(self, worker: _Worker, binding: str, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:  # gone again; or there are too many open files, and it would be accepted for ever
            self._loop.remove_reader(listener.fileno())
            self._loop.call_later(_PAUSE_S, self._resume, worker, binding, listener)
            return
        self.add_client(worker.said.worker_id, binding, sock, is_private=False)

    def _resume(self, worker: _Worker, binding: str, listener: socket.socket) -> None:
        if self._workers.get(worker.said.worker_id) is worker:
            self._loop.add_reader(listener.fileno(), self._accept, worker, binding, listener)

    # -- databases -------------------------------------------------------------------------------

    def _find(self, worker: _Worker, binding: str, user: str) -> tuple[Pools, Target] | None:
        # Never the binding's own in the place of one that was forgotten: that is the database of somebody else.
        key = worker.defined.get((binding, user)) if is_handle(user) else worker.keys.get(binding)
        if key is None or (shared := self._shared.get(key)) is None:
            return None
        return shared.pools, shared.target

    def _use(self, worker_id: int, binding: str, database: Database, owner: _Key) -> _Key:
        """Let a worker use a database; ``owner`` is empty for one that may be shared with everybody."""
        key = (database, binding if owner else "", *owner)
        shared = self._shared.get(key)
        if shared is None:
            users: dict[int, None] = {}
            dialer = BoundDialer(self._dialer, binding, lambda: next(reversed(users), None), is_declared=not owner)
            # Without the account, which clients then have for their own: what the database says about it is for them.
            nobodys = replace(database, target=replace(database.target, user=""))
            pools = Pools([nobodys], dialer=dialer, on_pin=_explain_pin, read_cache=self._read_cache, is_noting=True)
            shared = self._shared[key] = _Shared(pools, database.target, users)
        shared.users.pop(worker_id, None)
        shared.users[worker_id] = None
        if shared.leaving is not None:
            shared.leaving.cancel()
            shared.leaving = None
        return key

    def _leave(self, worker_id: int, key: _Key) -> None:
        shared = self._shared.get(key)
        if shared is None:
            return
        shared.users.pop(worker_id, None)
        if not shared.users and shared.leaving is None:
            shared.leaving = self._loop.call_later(_LEFT_S, self._close, key)

    def _close(self, key: _Key) -> None:
        shared = self._shared.pop(key)
        self._tasks.add(spawn(shared.pools.aclose(), name="close a pool", on_done=self._tasks.discard))

    def pools(self) -> Iterable[Pools]:
        """Return what is kept of all databases."""
        return [shared.pools for shared in self._shared.values()]

    async def aclose(self) -> None:
        """End everything.

        Cancellation: safe.
        """
        for worker_id in list(self._workers):
            self.remove(worker_id)
        shared, self._shared = self._shared, {}
        for each in shared.values():
            if each.leaving is not None:
                each.leaving.cancel()
            await each.pools.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _explain_pin(pool: Pool, session_id: int, reason: str, statement: str) -> None:
    """Say why a session keeps its server connection; once for each reason and database."""
    if pool.statistics.pins[reason] <= 1:
        text = statement if len(statement) <= _SHOWN_CHARS else f"{statement[:_SHOWN_CHARS]}…"
        logger.info("a session keeps its connection to %s: %s, because of %r", pool.target.database, reason, text)
    del session_id
