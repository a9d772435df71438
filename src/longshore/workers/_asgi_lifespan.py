"""The lifespan of ASGI applications that handlers call with ``asgi.fetch()``: once per worker, not once per request."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from longshore.aio.tasks import spawn
from longshore.workers._context import current_context

if TYPE_CHECKING:
    from longshore.workers._context import RequestHost

__all__ = ["ASGI", "lifespan_of"]

ASGI = {"version": "3.0", "spec_version": "2.3"}
logger = logging.getLogger("longshore.asgi")

# By runtime, then by identity of the application: an application need not be hashable.
_running: WeakKeyDictionary[RequestHost, dict[int, Lifespan]] = WeakKeyDictionary()


async def lifespan_of(app: Any) -> dict[str, Any]:
    """Start ``app`` up, if that has not been done in this worker; return its state.

    Outside a worker there is nobody to end it, so there it is not begun.

    Raises:
        RuntimeError: its startup failed.
    """
    context = current_context.get()
    if context is None:
        return {}
    lifespans = _running.setdefault(context.host, {})
    lifespan = lifespans.get(id(app))
    if lifespan is None:
        lifespan = lifespans[id(app)] = Lifespan(app)
        context.host.before_end(lifespan.stop)
    return await lifespan.started()


class Lifespan:
    """One application between ``lifespan.startup`` and ``lifespan.shutdown``."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "lifespan.startup"})
        self._is_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._task = spawn(self._run(), name="lifespan of an ASGI application")

    async def started(self) -> dict[str, Any]:
        """Wait for the startup; return the state, of which each request gets a copy.

        Raises:
            RuntimeError: it failed.
        """
        await asyncio.shield(self._is_up)
        return self._state

    async def stop(self) -> None:
        """Shut the application down."""
        self._to_app.put_nowait({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()
        if self._is_up.done() and not self._is_up.cancelled():
            self._is_up.exception()  # retrieved: whoever asked for the startup has it

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": ASGI, "state": self._state}
        try:
            await self._app(scope, self._to_app.get, self._send)
        except Exception:
            if self._is_up.done() and not self._is_up.exception():
                logger.exception("the lifespan of an ASGI application ended with an exception")
        finally:
            if not self._is_up.done():
                self._is_up.set_result(False)  # it has no lifespan, which ASGI allows

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._is_up.set_result(True)
        elif kind == "lifespan.startup.failed":
            reason = message.get("message") or "no reason was given"
            self._is_up.set_exception(RuntimeError(f"ASGI lifespan startup failed: {reason}"))
        elif kind == "lifespan.shutdown.failed":
            logger.error("ASGI lifespan shutdown failed: %s", message.get("message") or "no reason was given")
