"""What a worker process has for itself, lent by a process that runs tests, and taken back afterwards.

One worker at a time: the global ``env``, the names of the project's modules and the default dialer are the process's.
Modules that a test imported before are the ones that the worker uses, so that ``monkeypatch`` reaches it; modules that
the worker brought are forgotten with it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from longshore.compat.install import install
from longshore.credentials.store import open_store
from longshore.egress.local import LocalEgress
from longshore.net.dial import DirectDialer
from longshore.net.tls_context import trust_also
from longshore.runtime.host.databases import known_to_egress
from longshore.runtime.worker.boot import import_main
from longshore.sockets._connect import set_default_dialer
from longshore.workers._context import connecting_via, current_request_id
from longshore.workers._env import install_env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from longshore.abc import ByteStream, Connection, Dialer, DialRequest
    from longshore.config.model import WorkerConfig
    from longshore.core.tls_options import TlsRequest
    from longshore.egress.client import BrokerDialer
    from longshore.egress.pool_link import PoolDoor
    from longshore.proto.ipc.pool import DefineDatabase
    from longshore.testing._loop_thread import LoopThread
    from longshore.workers._env import Env

__all__ = ["find_main", "surroundings"]

_is_taken = threading.Lock()


@contextmanager
def surroundings(config: WorkerConfig, env: Env, thread: LoopThread, pool: PoolDoor | None = None) -> Iterator[None]:
    """Lend a worker its import names, its modules, its ``env`` and its egress rules.

    Args:
        config: of the worker.
        env: its bindings.
        thread: where it runs.
        pool: of its databases.

    Raises:
        RuntimeError: another worker runs in this process.
    """
    with ExitStack() as stack:
        stack.enter_context(_only_one())
        install()
        stack.enter_context(_modules_of(config.module_root))
        stack.callback(install_env, install_env(env))
        stack.enter_context(_dialer_of(config, thread, pool))
        stack.callback(trust_also, trust_also(_extra_roots(config)))
        yield


def find_main(config: WorkerConfig) -> tuple[ModuleType, str | None]:
    """Return the main module, which a test may have imported already, and the attribute that ``main`` names.

    Raises:
        BaseException: what importing it raises.
    """
    path = Path(config.main)
    if path.is_absolute():
        name = path.parent.name if path.stem == "__init__" else path.stem
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(path):
            return known, None
    return import_main(config)


@contextmanager
def _only_one() -> Iterator[None]:
    if not _is_taken.acquire(blocking=False):
        raise RuntimeError(
            "a worker is already running in this process, and its modules and env are global: end it first"
        )
    try:
        yield
    finally:
        _is_taken.release()


@contextmanager
def _modules_of(root: str) -> Iterator[None]:
    """Let ``root`` be on ``sys.path``, and forget the modules that come from it."""
    before = set(sys.modules)
    path = list(sys.path)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name not in before and _is_below(sys.modules[name], root)]:
            del sys.modules[name]


def _is_below(module: ModuleType, root: str) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not Path(file).is_relative_to(root):
        return False
    return not {"site-packages", "dist-packages"} & set(Path(file).parts)


@contextmanager
def _dialer_of(config: WorkerConfig, thread: LoopThread, pool: PoolDoor | None) -> Iterator[None]:
    """Let ``connect()`` follow the worker's rules inside its loop, and be what it was elsewhere."""
    egress = thread.run(_open_egress, config, pool)
    former = set_default_dialer(None)
    dialer = _LoopDialer(thread.loop, egress.dialer, former or DirectDialer())
    thread.at_end += [dialer.abort, egress.abort]
    set_default_dialer(dialer)
    try:
        yield
    finally:
        current = set_default_dialer(former)
        if current is not dialer:
            set_default_dialer(current)  # a test's own, which is the test's to take back


def _extra_roots(config: WorkerConfig) -> str:
    """Return the certificates of ``[tls] ca``."""
    return "".join(open_store(os.environ).ca_bundle(name) for name in config.tls.ca)


async def _open_egress(config: WorkerConfig, pool: PoolDoor | None) -> LocalEgress:
    known = msgspec.structs.replace(config, hyperdrive=known_to_egress(config))
    return LocalEgress(known, request_id=current_request_id, via=connecting_via.get, pool=pool)


class _LoopDialer:
    """Uses one dialer in one loop, whose connections it breaks in the end, and another one elsewhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop, inside: BrokerDialer, outside: Dialer) -> None:
        self._loop = loop
        self._inside = inside
        self._outside = outside
        self._streams: list[ByteStream] = []

    @property
    def _is_inside(self) -> bool:
        return asyncio.get_running_loop() is self._loop

    async def dial(self, request: DialRequest) -> Connection:
        """Dial with the one for the running loop."""
        if not self._is_inside:
            return await self._outside.dial(request)
        connection = await self._inside.dial(request)
        self._streams = [stream for stream in self._streams if stream.fileno() >= 0]
        self._streams.append(connection.stream)
        return connection

    def define_database(self, definition: DefineDatabase) -> None:
        """Tell the pool of the worker; see ``BrokerDialer``."""
        self._inside.define_database(definition)

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Upgrade with the one for the running loop."""
        return await (self._inside if self._is_inside else self._outside).start_tls(connection, tls)

    def abort(self) -> None:
        """Break the connections that were made inside."""
        for stream in self._streams:
            stream.abort()
        self._streams.clear()
