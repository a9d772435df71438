"""``HostedWorker``: a worker that runs in this process, on an event loop in a thread of its own.

Theory of operation. ``boot()`` does in this process what a worker process does: it lends the worker its surroundings,
imports the main module *in the loop*, starts the application's lifespan. Everything that is opened is pushed on one
``ExitStack``, so that ``close()`` undoes it in the opposite order, however far the boot has come. Coroutines below run
in the loop, everything else in the thread of the test.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import time
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx

from longshore.credentials.store import open_store
from longshore.runtime.host.databases import WorkerDatabases
from longshore.runtime.worker.app import WorkerApp
from longshore.runtime.worker.entry import find_entry
from longshore.runtime.worker.lifespan import Lifespan
from longshore.testing._databases import PoolThread
from longshore.testing._loop_thread import LoopThread
from longshore.testing._reports import Reports, catching
from longshore.testing._surroundings import find_main, surroundings
from longshore.workers._bindings import build_env

if TYPE_CHECKING:
    from longshore.config.model import WorkerConfig
    from longshore.runtime.worker.server import WorkerServer

__all__ = ["HostedWorker"]

DRAIN_LIMIT_S = 1.0
"""What a test that passes has started is done by now (``Worker.wait_until_done``); for the others this is enough."""

CLOSE_LIMIT_S = 10.0
"""How long connections may take to notice that they were reset."""


class HostedWorker:
    """Runs from ``boot()`` to ``close()``.

    Args:
        config: of the worker.
        loop: ``"uvloop"``, ``"asyncio"`` or None for the better one.
    """

    def __init__(self, config: WorkerConfig, loop: str | None = None) -> None:
        self.config = config
        self._databases = WorkerDatabases.of(config, 1, open_store(os.environ), has_traps=False)
        self.env = build_env(config if self._databases is None else self._databases.for_worker(config))
        self.reports = Reports()
        self.handlers: tuple[str, ...] = ()
        self._loop_name = loop
        self._stack = ExitStack()
        self._server: WorkerServer | None = None

    def boot(self) -> None:
        """Start.

        Raises:
            BaseException: what importing the module, looking for its handlers or its startup raises.
        """
        self._thread = LoopThread(f"worker {self.config.name}", self._loop_name)
        pool: PoolThread | None = None
        try:
            if self._databases is not None:
                self._stack.callback(self._databases.close)
                pool = PoolThread(self.config, self._databases)
                self._stack.callback(pool.close)
            self._stack.callback(self._thread.close)
            self._stack.callback(_end_of_globals, self)
            self._stack.enter_context(surroundings(self.config, self.env, self._thread, pool))
            self._stack.callback(self._thread.close)  # before its modules go, and with them clients in globals
            self._stack.enter_context(self.reports.listening(self._thread))
            self._thread.run(self._start)
            self._stack.callback(self._thread.run, self._stop)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """End everything; idempotent."""
        self._stack.close()

    def listen(self) -> int:
        """Serve HTTP on a free port of the loopback, as in production, and return the port."""
        sock = socket.create_server(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        self._thread.run(self._serve, sock)
        return port

    def exchange(self, request: httpx.Request) -> tuple[httpx.Response, list[BaseException]]:
        """Send a request to the worker without a connection; return its answer and what the handler raised."""
        return self._thread.run(self._exchange, request)

    def fire(self, cron: str, scheduled_time_ms: int) -> list[BaseException]:
        """Run the ``scheduled`` handler; return what it raised."""
        return self._thread.run(self._fire, cron, scheduled_time_ms)

    def wait_done(self, timeout_s: float) -> bool:
        """Wait for requests and ``wait_until`` work; return whether all is done."""
        return self._thread.run(self.app.wait_done, timeout_s)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The worker's event loop."""
        return self._thread.loop

    # -- in the loop -------------------------------------------------------------------------------

    async def _start(self) -> None:
        entry = find_entry(*find_main(self.config))
        self.app = WorkerApp(entry, self.env, self.config, self.reports, is_dev=True, log_requests=False)
        self.app.on_failure(self.reports.on_failure)
        self.handlers = self.app.handlers
        self._lifespan = Lifespan(self.app)
        await self._lifespan.startup()

    async def _stop(self) -> None:
        try:
            await self.app.drain(DRAIN_LIMIT_S)
        finally:
            await self._close_server()
            await self._lifespan.shutdown()

    async def _close_server(self) -> None:
        if self._server is None:
            return
        self._server.close()
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await self._server.wait_empty()

    async def _serve(self, sock: socket.socket) -> None:
        from longshore.runtime.worker.server import WorkerServer  # noqa: PLC0415 - uvicorn only for who wants HTTP

        self._server = WorkerServer(self._answer, [sock])
        await self._server.start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Be the application of uvicorn and of ``_exchange``, whose lifespan has begun already."""
        if scope["type"] == "lifespan":
            raise RuntimeError("the application was started before its server")  # ASGI: not for me, go on
        scope["state"] = self._lifespan.state.copy()
        await self.app(scope, receive, send)

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, list[BaseException]]:
        transport = httpx.ASGITransport(self._answer, raise_app_exceptions=False)
        with catching() as caught:
            response = await transport.handle_async_request(request)
            await response.aread()
        response.request = request
        return response, caught

    async def _fire(self, cron: str, scheduled_time_ms: int) -> list[BaseException]:
        with catching() as caught:
            await self.app.scheduled(cron, scheduled_time_ms)
        return caught


def _end_of_globals(hosted: HostedWorker) -> None:
    """Collect the worker's modules and the clients in their globals.

    In production they end with their process, without a word. The same silence here: a pool in a global lives as long
    as the worker, and that it was not closed is no mistake.
    """
    for name in ("app", "_lifespan", "_server"):  # they lead to the modules
        hosted.__dict__.pop(name, None)
    former, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    finally:
        sys.unraisablehook = former


def now_ms() -> int:
    """Return the time since the epoch, which a ``scheduled`` handler is told."""
    return time.time_ns() // 1_000_000
