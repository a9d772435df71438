"""``pool-cache``: the same read from the cache of the pool and from the database, near and far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ContenderSpec, ServerSpec, Target, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make"]

_CASES = {
    f"{form}_{delay_ms}": f"{form}, database {delay_ms} ms away"
    for form in ("simple", "extended")
    for delay_ms in (0, 20)
}
_BOUNDS = {0: 3.0, 20: 100.0}
_VERBS = frozenset(_CASES)
_CONTENDERS = (
    ContenderSpec("longshore", None, "pool_cached", ("!postgres",), _VERBS),
    ContenderSpec("uncached", None, "pool_uncached", ("!postgres",), _VERBS),
)


def _microseconds(reading: Mapping[str, float], _count: int) -> float:
    return reading["seconds_per_read"] * 1e6


def make(scale: Scale) -> Bench:
    """Return the bench."""
    tasks = tuple(
        Task(name, verb, ServerSpec("echo_server"), scale.pick(50, 20), value=_microseconds)
        for verb, name in _CASES.items()
    )
    targets = tuple(
        Target(f"{bound:.0f} times as fast as uncached", f"{task.name}, uvloop", ("uncached",), "<=", 1 / bound)
        for task in tasks
        for delay_ms, bound in _BOUNDS.items()
        if task.verb.endswith(f"_{delay_ms}")
    )
    summary = "one client that reads one row through longshore pool: with --cache, and without"
    return Bench("pool-cache", summary, "µs/read", True, tasks, _CONTENDERS, targets, ("uvloop",), quick_rounds=1)
