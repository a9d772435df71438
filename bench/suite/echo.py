"""``echo``: 64 bytes there and back again, one after the other on one connection; what a call costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, Extra, ServerSpec, Target, Task
from bench.suite.roster import LOOPS, PEERS, contenders_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.model import Scale

__all__ = ["make"]

_NO_POLL = "longshore-no-poll"
_CPU = Extra("cpu_s_per_op", "cpu_seconds", is_per_count=True)
"""How long the client computed; the rest of the time it slept, and the machine took its time to wake it."""


def _seconds_per_trip(reading: Mapping[str, float], count: int) -> float:
    return reading["seconds"] / count


def _targets() -> Iterator[Target]:
    for loop in LOOPS:
        case = f"64 B, {loop}"
        yield Target("≤ 1.3 × c", case, ("c",), "<=", 1.3)
        if loop == "uvloop":
            yield Target("≤ 1.05 × uvloop-protocol", case, ("uvloop-protocol",), "<=", 1.05)
        yield Target("no peer faster", case, PEERS, "<=", 1.0)
        yield Target("≤ 1.3 × c, without busy polling", case, ("c",), "<=", 1.3, _NO_POLL)
        if loop == "uvloop":
            yield Target("≤ 1.05 × uvloop-protocol, without it", case, ("uvloop-protocol",), "<=", 1.05, _NO_POLL)


def make(scale: Scale) -> Bench:
    """Return the bench."""
    trips = scale.pick(20_000, 1_500)
    task = Task("64 B", "echo", ServerSpec("echo_server"), trips, value=_seconds_per_trip)
    summary = f"round trips of 64 B on one connection, {trips} a round"
    return Bench("echo", summary, "s/op", True, (task,), contenders_for("echo"), tuple(_targets()), extras=(_CPU,))
