"""A recorder whose messages a test looks at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from longshore.runtime.worker.recorder import Recorder

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import WorkerMessage

__all__ = ["Messages"]

T = TypeVar("T")


class Messages:
    """A ``Reporter`` that keeps what it is given."""

    def __init__(self) -> None:
        self.all: list[WorkerMessage] = []
        self.recorder = Recorder(self)
        self._news = asyncio.Event()

    def send(self, message: WorkerMessage) -> None:
        """Keep a message."""
        self.all.append(message)
        self._news.set()

    async def next(self, kind: type[T]) -> T:
        """Wait for the next message and return it."""
        while not self.all:
            self._news.clear()
            await self._news.wait()
        message = self.all.pop(0)
        assert isinstance(message, kind), message
        return message

    async def until(self, kind: type[T]) -> None:
        """Wait until there is a message of a kind."""
        while not any(isinstance(message, kind) for message in self.all):
            self._news.clear()
            await self._news.wait()
