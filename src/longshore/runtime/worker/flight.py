"""One request in flight: its context, its task, and what has happened to its client.

A client that leaves is learned of in one of two ways. Uvicorn's protocol (``runtime.worker.protocol``) puts a
``ClientConnection`` into ``scope["longshore.connection"]`` and calls ``on_lost``: nothing waits for it, so it costs no
task per request. Where that is missing (an ASGI driver in a test), ``runtime.worker.watch`` makes one from
``receive()``.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from longshore.workers._context import RequestContext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["End", "Flight", "LostClient", "Unwatched"]


class End(Enum):
    """Why a request was cancelled."""

    CLIENT_LEFT = "the client left"
    DRAINED = "the worker was stopped"


class LostClient(Protocol):
    """What is asked of a connection; ``runtime.worker.client.ClientConnection`` is one."""

    is_lost: bool
    on_lost: Callable[[], None] | None


class Unwatched:
    """The client of what watches it itself, or of nobody: never known to be lost."""

    __slots__ = ("is_lost", "on_lost")

    def __init__(self) -> None:
        self.is_lost = False
        self.on_lost: Callable[[], None] | None = None


class Flight(RequestContext):
    """A request, event or WebSocket between its first and its last moment."""

    task: asyncio.Task[Any]
    """Serves it."""
    connection: LostClient
    """Its client."""
    status: int = 0
    """Of the response, once its head was sent."""
    end: End | None = None
    """Why it was cancelled."""
    grace_s: float = 0.0
    """How long its handler may go on without its client."""
    is_streaming: bool = False
    """True once the handler has returned and the body is being sent."""
    is_over: bool = False
    timer: asyncio.TimerHandle | None = None

    def on_client_lost(self) -> None:
        """Cancel the handler: after the grace, or at once when only the body is still being sent."""
        if self.grace_s > 0 and not self.is_streaming:
            loop = self.task.get_loop()
            self.timer = loop.call_later(self.grace_s, self.cancel, End.CLIENT_LEFT)
        else:
            self.cancel(End.CLIENT_LEFT)

    def cancel(self, end: End) -> None:
        """Cancel the task that serves this request, once."""
        if self.end is not None or self.is_over:
            return
        self.end = end
        loop = self.task.get_loop()
        if asyncio.current_task(loop) is self.task:
            # It found out by itself, in send() or receive(), and goes on until it waits.
            loop.call_soon(self._cancel_task)
        else:
            self._cancel_task()

    def cancel_again(self) -> None:
        """Cancel a task that was cancelled before and has not ended: its cleaning up waits for something."""
        if not self.is_over:
            self.task.cancel()

    def _cancel_task(self) -> None:
        if not self.is_over and self.end is not None:
            self.task.cancel(self.end.value)

    def begin_streaming(self) -> None:
        """From now on nobody needs a grace: the handler has returned."""
        self.is_streaming = True
        if self.connection.is_lost and self.end is None:
            self.cancel(End.CLIENT_LEFT)
