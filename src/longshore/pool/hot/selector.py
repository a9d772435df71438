"""The selector of ``HotEventLoop`` (shell over epoll): hot descriptors are served here, cold ones by asyncio.

Theory of operation. A turn of asyncio's loop, a handle for each callback, and a transport in Python cost more than the
four system calls of a transaction. So the descriptors of clients and databases are *hot*: their handlers are called
right here, and ``select`` comes back to asyncio only when it has something to do: a cold descriptor, a callback of
``call_soon``, a timer, the end of its time. Cold descriptors have a selector of their own, whose descriptor is one of
ours: so one wait is enough for all.

Waiting. To be put to sleep and woken costs more than the answer of a database on the same host takes. So before
it sleeps, the loop gives the processor to whoever is ready to run (``sched_yield``) and looks again, for a moment; what
came meanwhile comes in one batch. If nothing comes, the next 1, 3, 7 … 1023 waits sleep at once.

Compiled when it can be, see ``longshore.pool.hot.compiled``.
"""

from __future__ import annotations

import os
import select
import selectors
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HotHandler", "HotSelector"]

_MAX_EVENTS: Final = 256
_MAX_PENALTY: Final = 1023
_READ: Final = 1


class HotHandler:
    """Whoever a hot descriptor belongs to."""

    def on_events(self, events: int) -> None:
        """Take what epoll says. Must not raise."""
        raise NotImplementedError

    def on_end(self) -> None:
        """Take that ``HotSelector.end`` was called. Must not raise."""


class HotSelector:
    """What asyncio takes for a ``selectors.BaseSelector``.

    Args:
        yield_s: how long to let others run before sleeping; 0.0 where there is only one processor.
    """

    def __init__(self, yield_s: float) -> None:
        self.is_wanted = False
        """Set it when asyncio has something to do."""
        self._cold = selectors.EpollSelector()
        self._cold_fd = self._cold.fileno()
        self._hot = select.epoll()
        self._hot.register(self._cold_fd, _READ)
        self._handlers: dict[int, HotHandler] = {}
        self._yield_s = yield_s
        self._penalty = 0
        self._sleeps = 0  # to come, without yielding
        self._ends: list[HotHandler] = []

    # -- hot descriptors -------------------------------------------------------------------------

    def add(self, fd: int, events: int, handler: HotHandler) -> None:
        """Serve a descriptor here.

        Raises:
            OSError: the system has no room for it.
        """
        self._hot.register(fd, events)
        self._handlers[fd] = handler

    def change(self, fd: int, events: int) -> None:
        """Wait for something else of it."""
        self._hot.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Wait for nothing of it; idempotent."""
        if self._handlers.pop(fd, None) is not None:
            self._hot.unregister(fd)

    def end(self, handler: HotHandler) -> None:
        """Call ``on_end`` before the next wait, which spares a turn of asyncio's loop for each connection."""
        self._ends.append(handler)

    def _end_all(self) -> None:
        while self._ends:
            ends, self._ends = self._ends, []
            for handler in ends:
                handler.on_end()

    # -- the interface of selectors.BaseSelector -------------------------------------------------

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Serve hot descriptors until something cold is ready, asyncio is wanted, or the time is over."""
        self.is_wanted = False
        self._end_all()
        # Less than a microsecond is over before epoll has looked.
        left = -1.0 if timeout is None else max(timeout, 0.0)
        deadline = monotonic() + left
        handlers, cold_fd = self._handlers, self._cold_fd
        while True:
            events = self._wait(left)
            is_cold = False
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None:
                    handler.on_events(mask)
                elif fd == cold_fd:
                    is_cold = True
            self._end_all()
            if is_cold:
                return self._cold.select(0)
            if self.is_wanted or not events:
                return []
            if left >= 0.0:
                left = deadline - monotonic()
                if left <= 0.0:
                    return []

    def _wait(self, timeout: float) -> list[tuple[int, int]]:
        """Return the next events; none when the time is over."""
        poll = self._hot.poll
        if timeout == 0.0 or self.is_wanted:
            return poll(0, _MAX_EVENTS)
        if self._sleeps:
            self._sleeps -= 1
        elif self._yield_s > 0.0 and self._handlers:
            events = self._wait_awake()
            if events:
                self._penalty = 0
                return events
            self._penalty = min(self._penalty * 2 + 1, _MAX_PENALTY)
            self._sleeps = self._penalty
        return poll(timeout, _MAX_EVENTS)

    def _wait_awake(self) -> list[tuple[int, int]]:
        poll = self._hot.poll
        events = poll(0, _MAX_EVENTS)
        if events:
            return events
        end = perf_counter() + self._yield_s
        while True:
            os.sched_yield()
            events = poll(0, _MAX_EVENTS)
            if events or perf_counter() > end:
                return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Have asyncio serve it."""
        return self._cold.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget it."""
        return self._cold.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for something else of it."""
        return self._cold.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Return what is registered for it.

        Raises:
            KeyError: nothing.
        """
        return self._cold.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return everything that asyncio serves."""
        return self._cold.get_map()

    def close(self) -> None:
        """Give the descriptors of epoll back."""
        self._handlers.clear()
        self._hot.close()
        self._cold.close()
