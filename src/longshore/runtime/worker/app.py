"""``WorkerApp``: a worker as an ASGI 3 application, for uvicorn in a worker process and for tests in process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from longshore.proto.ipc.messages import ScheduledFinished
from longshore.runtime.worker.asgi_server import AsgiServer
from longshore.runtime.worker.controller import ScheduledController
from longshore.runtime.worker.entry import missing_handler
from longshore.runtime.worker.failures import Failures
from longshore.runtime.worker.flight import Unwatched
from longshore.runtime.worker.outcome import CANCELED, ERROR, OK
from longshore.runtime.worker.sdk_server import SdkServer
from longshore.runtime.worker.websocket import WebSocketServer
from longshore.runtime.worker.work import Work
from longshore.workers._context import current_context

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from longshore.config.model import WorkerConfig
    from longshore.runtime.worker.entry import Entry
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter
    from longshore.workers._context import RequestContext

__all__ = ["WorkerApp"]


class WorkerApp:
    """Serves what an ``Entry`` exports.

    Args:
        entry: from ``find_entry``.
        env: the bindings, for handlers and as ``scope["env"]``.
        config: for the user's folders and the grace of disconnected clients.
        reporter: gets ``RequestFinished``, ``HandlerFailed`` and ``ScheduledFinished``.
        is_dev: whether clients are told what went wrong.
        log_requests: whether there is a ``RequestFinished`` for each request.
    """

    def __init__(
        self,
        entry: Entry,
        env: Any,
        config: WorkerConfig,
        reporter: Reporter,
        *,
        is_dev: bool = False,
        log_requests: bool = True,
    ) -> None:
        self._entry = entry
        self._env = env
        self._reporter = reporter
        self._failures = Failures(config, reporter, is_dev=is_dev)
        self._work = Work(self._failures)
        told = reporter if log_requests else None
        self._server: SdkServer | AsgiServer
        if entry.application is not None:
            self._server = AsgiServer(entry.application, env, self._work, self._failures, told, is_dev=is_dev)
        else:
            self._server = SdkServer(entry, env, self._work, self._failures, told)
        self._http = self._server.http
        self._websockets = WebSocketServer(entry, env, self._work, self._failures, told)

    @property
    def handlers(self) -> tuple[str, ...]:
        """Of ``fetch``, ``scheduled``, ``connect``, ``asgi``, ``wsgi``: what there is."""
        return self._entry.handlers

    @property
    def in_flight(self) -> int:
        """How many requests, WebSockets and scheduled events are being served."""
        return len(self._work.flights)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Serve one ASGI connection.

        Cancellation: cancels the handler.
        """
        # Not a coroutine function: a coroutine around the one that works would cost each request its creation.
        kind = scope["type"]
        if kind == "http":
            return self._http(scope, receive, send)
        if kind == "websocket":
            return self._websockets.serve(scope, receive, send)
        return self._lifespan(scope, receive, send)

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if self._entry.application is not None:
            scope["env"] = self._env
            await self._entry.application(scope, receive, send)
        else:
            await _answer_lifespan(receive, send)

    async def scheduled(self, cron: str, scheduled_time_ms: int) -> None:
        """Run the ``scheduled`` handler; its failure is reported, not raised.

        Args:
            cron: the pattern that is due.
            scheduled_time_ms: when, since the epoch.

        Cancellation: cancels the handler.
        """
        flight = self._work.begin({}, time.monotonic())
        flight.subject = f"cron {cron}"
        flight.connection = Unwatched()
        token = current_context.set(flight)
        outcome = OK
        try:
            await self._run_scheduled(ScheduledController(cron, scheduled_time_ms), flight)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - the handler's error, whatever it is
            outcome = self._settle_scheduled(flight, exc)
        finally:
            current_context.reset(token)
            self._work.end(flight)
        self._reporter.send(ScheduledFinished(cron=cron, duration_s=time.monotonic() - flight.started, outcome=outcome))

    async def _run_scheduled(self, controller: ScheduledController, flight: Flight) -> None:
        if self._entry.scheduled is None:
            raise missing_handler(self._entry, "scheduled")
        result = self._entry.scheduled(controller, self._env, flight)
        if hasattr(result, "__await__"):
            await result

    def _settle_scheduled(self, flight: Flight, exc: BaseException) -> str:
        if isinstance(exc, asyncio.CancelledError):
            if flight.end is not None:
                flight.task.uncancel()
                return CANCELED
            if flight.task.cancelling():
                raise exc
        self._failures.tell("scheduled", flight, exc)
        return ERROR

    def on_failure(self, told: Callable[[str, RequestContext, BaseException], None]) -> None:
        """Call ``told(where, context, exception)`` whenever a handler or ``wait_until`` work fails."""
        self._failures.on_failure = told

    async def wait_done(self, timeout_s: float) -> bool:
        """Wait for requests in flight, then for ``wait_until`` work, and cancel nothing.

        Args:
            timeout_s: for both together.

        Returns:
            Whether all is done.

        Cancellation: safe.
        """
        return await self._work.wait_done(timeout_s)

    async def drain(self, timeout_s: float) -> tuple[int, int]:
        """Wait for requests in flight, then for ``wait_until`` work; cancel what is not done in time.

        Args:
            timeout_s: for both together.

        Returns:
            How many requests, and how many tasks of ``wait_until``, were cancelled.

        Cancellation: safe; what is going on goes on.
        """
        return await self._work.drain(timeout_s)


async def _answer_lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
