"""``pool``: pgbench through the pool, through PgBouncer, and directly; and a connection for each transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ContenderSpec, Extra, ServerSpec, Target, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make"]

_MODES = ("simple", "extended", "prepared")
_CLIENTS = (1, 8, 50)
_CONNECT = "connect, query, close"
_NEEDED = ("!pgbench",)
_VERBS = frozenset({*(f"{mode}_{clients}" for mode in _MODES for clients in _CLIENTS), "connect"})
_CONTENDERS = (
    ContenderSpec("longshore", None, "pool_longshore", _NEEDED, _VERBS),
    ContenderSpec("pgbouncer", None, "pool_pgbouncer", (*_NEEDED, "!pgbouncer"), _VERBS),
    ContenderSpec("direct", None, "pool_direct", _NEEDED, _VERBS),
)
_LOOPS = ("own loop",)


def _rate(reading: Mapping[str, float], _count: int) -> float:
    return reading["rate"]


def make(scale: Scale) -> Bench:
    """Return the bench."""
    tasks = []
    for mode in _MODES:
        # A first look has no time for more: the pools have to be started many times.
        for clients in (8,) if scale.is_quick else _CLIENTS:
            name = f"{mode}, {clients} client{'s' * (clients > 1)}"
            tasks.append(_task(name, f"{mode}_{clients}", scale.pick(20_000 if clients == 1 else 50_000, 800)))
    cells = tuple(Target("≥ 1.0 × pgbouncer", f"{task.name}, {_LOOPS[0]}", ("pgbouncer",), ">=", 1.0) for task in tasks)
    connect = _task(_CONNECT, "connect", scale.pick(4000, 160))
    case = f"{connect.name}, {_LOOPS[0]}"
    targets = (
        *cells,
        Target("≥ 20 × direct", case, ("direct",), ">=", 20.0),
        Target("≥ 1.5 × pgbouncer", case, ("pgbouncer",), ">=", 1.5),
    )
    summary = "transactions of pgbench -S over TCP, one pool process, nothing pinned; pgbench -C for the last case"
    extras = (Extra("cpu_us", "cpu_us"),)
    everything = (*tasks, connect)
    return Bench(
        "pool", summary, "transactions/s", False, everything, _CONTENDERS, targets, _LOOPS, extras, quick_rounds=3
    )


def _task(name: str, verb: str, count: int) -> Task:
    return Task(name, verb, ServerSpec("bench.servers.postgres"), count, value=_rate)
