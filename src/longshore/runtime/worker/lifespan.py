"""The ASGI lifespan of a worker's application: startup before the first request, shutdown after the last.

uvicorn's own turns an exception into a log line; here it is the reason why a worker cannot boot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.aio.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Application = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[None],
    ]

__all__ = ["Lifespan", "LifespanFailed"]

STOP_S = 2.0
"""How long an application may take for its ``finally`` blocks when its lifespan is cancelled."""


class LifespanFailed(RuntimeError):
    """The application said that its startup or shutdown failed; the message is the application's."""


class Lifespan:
    """Runs one application through its lifespan.

    Args:
        app: an ASGI application.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_started = False

    async def startup(self) -> None:
        """Start the application.

        An application that does not know lifespans raises before it answers, which is not a failure (ASGI, *Lifespan
        Protocol*).

        Raises:
            LifespanFailed: the application says so.

        Cancellation: ends the application's lifespan.
        """
        self._task = spawn(self._run(), name="lifespan", on_done=self._on_done)
        try:
            self._has_started = await self._ask("startup")
        except asyncio.CancelledError:
            await self._stop(self._task)
            raise

    async def shutdown(self) -> None:
        """Let the application clean up, if it was started.

        Raises:
            LifespanFailed: the application says so, or raised.

        Cancellation: ends the application's lifespan.
        """
        if self._task is None or not self._has_started:
            return
        self._has_started = False
        try:
            if self._task.done() or not await self._ask("shutdown"):
                raise LifespanFailed("the application ended its lifespan before it was shut down") from self._error()
        finally:
            await self._stop(self._task)

    async def _stop(self, task: asyncio.Task[None]) -> None:
        """Cancel the application's lifespan and wait for its cleaning up, within reason."""
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=STOP_S)

    async def _ask(self, event: str) -> bool:
        """Send an event; True when it was completed, False when the application does not take it."""
        self._answer = asyncio.get_running_loop().create_future()
        self._to_app.put_nowait({"type": f"lifespan.{event}"})
        answer = await self._answer
        if answer is not None and answer["type"] == f"lifespan.{event}.failed":
            raise LifespanFailed(answer.get("message") or f"the application's lifespan {event} failed")
        return answer is not None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._to_app.get, self._send)

    async def _send(self, message: Message) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._error()  # looked at: whoever waits for the answer raises it
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _error(self) -> BaseException | None:
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None
