"""``flights``: how often a client waits for the network before its request leaves; counts, no times."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.model import Bench, Extra, ServerSpec, Target, Task
from bench.suite.roster import LOOPS, contenders_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make"]

_TASKS = (
    ("plain", "plain", "TLSv1_3", 0),
    ("TLS 1.3", "tls", "TLSv1_3", 1),
    ("TLS 1.2", "tls", "TLSv1_2", 2),
    ("STARTTLS", "starttls", "TLSv1_3", 3),
)
"""Name, mode, version, and the server's flights that no client can do without (two of STARTTLS are text)."""


def _extra_flights(least: int, reading: Mapping[str, float], _count: int) -> float:
    return reading["flights"] - least


def _task(name: str, mode: str, version: str, least: int) -> Task:
    server = ServerSpec("bench.servers.flights", (mode, version))
    return Task(name, "flights", server, 1, mode, partial(_extra_flights, least))


def make(scale: Scale) -> Bench:
    """Return the bench; a count is the same at every scale."""
    tasks = tuple(_task(*row) for row in _TASKS)
    targets = tuple(
        Target("0 extra flights", f"{task.name}, {loop}", (), "<=", 0.0) for loop in LOOPS for task in tasks
    )
    return Bench(
        "flights",
        "round trips before the first request byte, beyond those the protocol needs",
        "extra flights",
        True,
        tasks,
        contenders_for("flights"),
        targets,
        extras=(Extra("segments", "segments", is_worst=True),),
    )
