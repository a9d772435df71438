"""Those who are not logged in yet, and how long they may take (shell).

One timer is for all of them, as hardly anybody needs his: it runs out for the first whose time is over, and is set
again for those who are left.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Starter", "Starting"]


class Starter(Protocol):
    """A connection whose client is not logged in."""

    def abort(self) -> None:
        """Close it at once."""

    def time_out(self) -> None:
        """Tell the client that its time is over, and close the connection."""


class Starting:
    """Connections of clients that are not logged in."""

    def __init__(self) -> None:
        self._deadlines: dict[Starter, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when it runs out

    def __len__(self) -> int:
        return len(self._deadlines)

    def __iter__(self) -> Iterator[Starter]:
        return iter(list(self._deadlines))

    def add(self, starter: Starter, timeout_s: float) -> None:
        """Give a client so much time, inside the running loop."""
        loop = asyncio.get_running_loop()
        self._deadlines[starter] = deadline = loop.time() + timeout_s
        if deadline < self._due:
            self._set_timer(loop, deadline)

    def hold(self, starter: Starter) -> None:
        """Take that one has done its part, and waits for the pool."""
        if starter in self._deadlines:
            self._deadlines[starter] = math.inf

    def discard(self, starter: Starter) -> None:
        """Forget one; idempotent."""
        self._deadlines.pop(starter, None)

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf

    def _set_timer(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.close()
        self._due = deadline
        self._timer = loop.call_at(deadline, self._run_out, deadline)

    def _run_out(self, now: float) -> None:
        self._timer, self._due = None, math.inf
        late = [starter for starter, deadline in self._deadlines.items() if deadline <= now]
        for starter in late:
            self.discard(starter)
            starter.time_out()
        first = min(self._deadlines.values(), default=math.inf)
        if first < math.inf:
            self._set_timer(asyncio.get_running_loop(), first)
