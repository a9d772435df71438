"""``sandbox``: the same clients in a worker of ``longshore serve`` and outside; what the sandbox costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ContenderSpec, Extra, Measure, ServerSpec, Target, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.model import Scale

__all__ = ["make"]

_LOOP = "uvloop"
"""The worker's; only the clients that use ``connect()`` run on it."""
_OUTSIDE = "outside"
_LONGEST_START_MS = 20.0

_RATE = Measure("B/s", lower_is_better=False)
_START = Measure("ms", lower_is_better=True)
_MEMORY = Measure("B", lower_is_better=True)
_EXTRAS = (Extra("cpu_s_per_op", "cpu_seconds", is_per_count=True), Extra("worst_ms", "worst_ms", is_worst=True))


def _each_s(reading: Mapping[str, float], count: int) -> float:
    return reading["seconds"] / count


def _bytes_per_second(reading: Mapping[str, float], count: int) -> float:
    return count / reading["seconds"]


def _milliseconds(reading: Mapping[str, float], _count: int) -> float:
    return reading["median_ms"]


def _bytes(reading: Mapping[str, float], _count: int) -> float:
    return reading["bytes"]


def _tasks(scale: Scale) -> Iterator[Task]:
    dials, trips, size = scale.pick(3_000, 500), scale.pick(20_000, 1_500), scale.pick(1024, 32) * 1024 * 1024
    for who in ("python", "c", "connect"):
        yield Task(f"dial, {_NAMES[who]}", f"{who}_dial", ServerSpec("dial_server"), dials, value=_each_s)
    for who in ("c", "connect"):
        yield Task(f"echo, {_NAMES[who]}", f"{who}_echo", ServerSpec("echo_server"), trips, value=_each_s)
        for direction, role in (("in", "source"), ("out", "sink")):
            server = ServerSpec("bulk_server", (role, str(size)))
            name = f"bulk {direction}, {_NAMES[who]}"
            yield Task(name, f"{who}_bulk_{direction}", server, size, value=_bytes_per_second, measure=_RATE)
    server = ServerSpec("echo_server")
    yield Task("start to first byte", "cold", server, scale.pick(20, 5), value=_milliseconds, measure=_START)
    yield Task("memory of an idle worker", "idle", server, 1, value=_bytes, measure=_MEMORY)


_NAMES = {"python": "Python socket", "c": "C", "connect": "connect()"}


def _targets() -> Iterator[Target]:
    for case, relation, bound in (
        ("dial, Python socket", "<=", 2.0),
        ("dial, C", "<=", 2.0),
        ("dial, connect()", "<=", 1.5),
        ("echo, C", "<=", 1 / 0.98),
        ("echo, connect()", "<=", 1 / 0.98),
        ("bulk in, C", ">=", 0.98),
        ("bulk out, C", ">=", 0.98),
        ("bulk in, connect()", ">=", 0.98),
        ("bulk out, connect()", ">=", 0.98),
    ):
        sign = "≤" if relation == "<=" else "≥"
        yield Target(f"{sign} {bound:.2f} × outside", f"{case}, {_LOOP}", (_OUTSIDE,), relation, bound)
    case = f"start to first byte, {_LOOP}"
    yield Target(f"≤ {_LONGEST_START_MS:.0f} ms", case, (), "<=", 1.0, per=_LONGEST_START_MS)


def make(scale: Scale) -> Bench:
    """Return the bench."""
    tasks = tuple(_tasks(scale))
    verbs = frozenset(task.verb for task in tasks)
    requires = ("longshore", "uvloop")
    contenders = (
        ContenderSpec("longshore", None, "sandbox_inside", requires, verbs),
        ContenderSpec(_OUTSIDE, None, "sandbox_outside", requires, verbs),
    )
    summary = "clients in a sandboxed worker and outside; a worker's start, and its memory"
    return Bench("sandbox", summary, "s/op", True, tasks, contenders, tuple(_targets()), (_LOOP,), _EXTRAS)
