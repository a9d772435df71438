"""``LookupThreads``: blocking look-ups, each in a thread of its own.

Not the loop's executor, for two reasons: its threads are few and shared, so that one worker with names that do not
resolve would hold up all others; and the interpreter waits for them at its end, which ``getaddrinfo`` may take half a
minute to reach.
"""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LookupThreads"]

T = TypeVar("T")


class LookupThreads:
    """Runs functions, so many at once; the others wait in order.

    Args:
        max_threads: so many exist. One that nobody waits for any more counts until it has ended.
    """

    def __init__(self, max_threads: int) -> None:
        self._free = asyncio.Semaphore(max_threads)
        self.count = 0
        """How many exist."""

    @property
    def is_full(self) -> bool:
        """Whether a further call would wait."""
        return self._free.locked()

    async def run(self, function: Callable[[], T], *, name: str) -> T:
        """Return what ``function`` returns, called in a new daemon thread.

        Raises:
            RuntimeError: the system gives no thread.
            Exception: what the function raises.

        Cancellation: safe; the function goes on in its thread and its result is dropped.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            Thread(target=_work, args=(function, future, loop), name=name, daemon=True).start()
        except BaseException:
            self._free.release()
            raise
        self.count += 1
        future.add_done_callback(self._ended)
        # Whoever waits may be cancelled; the future ends with the thread.
        return await asyncio.shield(future)

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._free.release()
        self.count -= 1
        if not future.cancelled():
            future.exception()  # looked at: it may be that nobody else does


def _work(function: Callable[[], T], future: asyncio.Future[T], loop: asyncio.AbstractEventLoop) -> None:
    settle: Callable[[], None]
    try:
        settle = partial(future.set_result, function())
    except Exception as exc:  # noqa: BLE001 - handed to whoever waits
        settle = partial(future.set_exception, exc)
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # the loop is closed: nobody waits
