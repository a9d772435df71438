"""``pool-worker``: requests of a worker that ask a database, through its binding and through PgBouncer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ContenderSpec, Extra, ServerSpec, Target, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make"]

_CASES = {
    "queries_1_new": "1 query, new connection",
    "queries_10_new": "10 queries, new connection",
    "queries_1_kept": "1 query, kept connection",
    "queries_10_kept": "10 queries, kept connection",
}
_QUICK = ("queries_1_new", "queries_10_kept")
_CONTENDERS = (
    ContenderSpec("longshore", None, "worker_pool", ("!wrk", "!postgres", "psycopg"), frozenset(_CASES)),
    ContenderSpec(
        "pgbouncer", None, "worker_pgbouncer", ("!wrk", "!postgres", "!pgbouncer", "psycopg"), frozenset(_CASES)
    ),
)


def _rate(reading: Mapping[str, float], _count: int) -> float:
    return reading["rate"]


def make(scale: Scale) -> Bench:
    """Return the bench."""
    cases = {verb: name for verb, name in _CASES.items() if not scale.is_quick or verb in _QUICK}
    tasks = tuple(
        Task(name, verb, ServerSpec("echo_server"), scale.pick(4, 1), value=_rate) for verb, name in cases.items()
    )
    targets = tuple(Target("≥ 1.2 × pgbouncer", f"{task.name}, uvloop", ("pgbouncer",), ">=", 1.2) for task in tasks)
    summary = "requests to a worker that ask PostgreSQL, 50 connections: the binding, or PgBouncer 1.18 as any client"
    extras = (Extra("p50_ms", "p50_ms"), Extra("p99_ms", "p99_ms"))
    return Bench(
        "pool-worker", summary, "requests/s", False, tasks, _CONTENDERS, targets, ("uvloop",), extras, quick_rounds=1
    )
