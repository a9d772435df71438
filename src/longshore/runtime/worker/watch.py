"""Learns that a client has left where no server tells: from ``receive()`` of a plain ASGI driver, as in tests.

``receive()`` gives the body first and ``http.disconnect`` when the client has gone, so it can only be watched once the
body is over: at once for a request without one, else when its last part was read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from longshore.aio.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]

__all__ = ["Watch"]


class Watch:
    """A ``LostClient`` made of ``receive()``; whoever reads the body must do so through ``receive`` of this."""

    __slots__ = ("_early", "_news", "_receive", "_task", "is_lost", "on_lost")

    def __init__(self, scope: Any, receive: Receive) -> None:
        self._receive = receive
        self._early: deque[dict[str, Any]] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_lost = False
        self.on_lost: Callable[[], None] | None = None
        if not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope.get("headers", ())):
            self._begin()

    async def receive(self) -> dict[str, Any]:
        """Do what the driver's own ``receive()`` does."""
        if self._task is None:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._lost()
            elif not message.get("more_body", False):
                self._begin()
            return message
        while not self._early:
            if self.is_lost:
                return {"type": "http.disconnect"}
            self._news.clear()
            await self._news.wait()
        return self._early.popleft()

    def stop(self) -> None:
        """End watching; the request is over."""
        self.on_lost = None
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = spawn(self._watch(), name="watch of a client")

    async def _watch(self) -> None:
        while not self.is_lost:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._lost()
            else:
                self._early.append(message)
            self._news.set()

    def _lost(self) -> None:
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost()
