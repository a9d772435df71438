"""Adaptive busy polling: not to sleep when the answer is already on its way.

Going to sleep in ``epoll_wait`` and being woken costs more (an interrupt, a scheduler decision, a cold
cache; 20 to 40 µs where a virtual machine halts its processor) than a peer on the same host or rack needs to answer. So
after a request, for a moment, the loop is kept turning instead of sleeping, as Linux does for a driver's queue
(``net.core.busy_read``) and for an idle guest processor (*haltpoll*).

It is cooperative: every turn is a ``call_soon``, between two turns the loop serves everybody else. It is
adaptive: a stream whose answer did not come in time goes without for 1, 3, 7 … 1023 reads before it tries again, so
a distant peer costs one moment in a thousand reads. With a single processor it is off: the peer could not run.
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["DEFAULT_BUSY_POLL_S", "BusyPoll", "usable_processors"]

# Longer than a service on the same machine needs for a simple answer, shorter than two sleeps and wake-ups.
DEFAULT_BUSY_POLL_S = 50e-6 if (os.cpu_count() or 1) > 1 else 0.0
MAX_PENALTY_READS = 1023


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BusyPoll:
    """Whether, and for how long, the loop is kept awake for one stream.

    Args:
        loop: the loop that is kept turning.
        window_s: how long a request may wait for its answer this way, in seconds.
    """

    __slots__ = ("_deadline", "_is_scheduled", "_is_waiting", "_loop", "_penalty_reads", "_skip_reads", "_window_s")

    def __init__(self, loop: AbstractEventLoop, window_s: float) -> None:
        self._loop = loop
        self._window_s = window_s
        self._is_waiting = False
        self._is_scheduled = False
        self._deadline = 0.0
        self._penalty_reads = 0
        self._skip_reads = 0

    def begin(self) -> None:
        """A request was sent and its answer is not there yet."""
        if self._skip_reads:
            self._skip_reads -= 1
            return
        self._is_waiting = True
        self._deadline = perf_counter() + self._window_s
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._turn)

    def hit(self) -> None:
        """Something arrived, or nobody waits any more."""
        if self._is_waiting:
            self._is_waiting = False
            self._penalty_reads = 0

    def _turn(self) -> None:
        if not self._is_waiting:
            self._is_scheduled = False
        elif perf_counter() < self._deadline:
            self._loop.call_soon(self._turn)
        else:
            self._is_scheduled = self._is_waiting = False
            self._penalty_reads = min(self._penalty_reads * 2 + 1, MAX_PENALTY_READS)
            self._skip_reads = self._penalty_reads
