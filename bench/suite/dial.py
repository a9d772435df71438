"""``dial``: connect, receive one byte and the end, close; one after the other; what a connection costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, Extra, ServerSpec, Target, Task
from bench.suite.roster import LOOPS, PEERS, contenders_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.model import Scale

__all__ = ["make"]

_CPU = Extra("cpu_s_per_op", "cpu_seconds", is_per_count=True)
"""How long the client computed; the rest of the time it slept, and the machine took its time to wake it."""


def _connections_per_second(reading: Mapping[str, float], count: int) -> float:
    return count / reading["seconds"]


def _targets() -> Iterator[Target]:
    for loop in LOOPS:
        case = f"1 B, {loop}"
        yield Target("≥ 1.2 × asyncio-streams", case, ("asyncio-streams",), ">=", 1.2)
        yield Target("≥ 1.0 × the best peer", case, PEERS, ">=", 1.0)


def make(scale: Scale) -> Bench:
    """Return the bench."""
    count = scale.pick(3_000, 500)
    task = Task("1 B", "dial", ServerSpec("dial_server"), count, value=_connections_per_second)
    summary = f"connect, one byte, close, {count} a round"
    return Bench(
        "dial", summary, "connections/s", False, (task,), contenders_for("dial"), tuple(_targets()), extras=(_CPU,)
    )
