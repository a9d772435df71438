"""The clock every Python contender starts when its work begins and reads when it is done."""

from __future__ import annotations

from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.contenders.job import Reading

__all__ = ["Clock"]


class Clock:
    """Runs from its construction on."""

    __slots__ = ("_cpu", "_wall")

    def __init__(self) -> None:
        self._cpu = process_time()
        self._wall = perf_counter()

    def reading(self) -> Reading:
        """Return the seconds that went by, and those of them in which this process computed."""
        seconds = perf_counter() - self._wall
        return {"seconds": seconds, "cpu_seconds": process_time() - self._cpu}
