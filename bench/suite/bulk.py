"""``bulk``: 1 GiB in and 1 GiB out in pieces of 256 KiB, plain and over TLS 1.3; what a byte costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, Extra, ServerSpec, Target, Task
from bench.suite.roster import LOOPS, PYTHON_PEERS, contenders_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.model import Scale

__all__ = ["make"]

_FLAT_BYTES = 16 * 1024 * 1024
"""How far memory may grow while a gigabyte passes and still be called flat: a few of the kernel's buffers."""


def _bytes_per_second(reading: Mapping[str, float], count: int) -> float:
    return count / reading["seconds"]


def _server(direction: str, mode: str, count: int) -> ServerSpec:
    work = ("source" if direction == "in" else "sink", str(count))
    return ServerSpec("bench.servers.tls_bulk" if mode == "tls" else "bulk_server", work)


def _tasks(count: int) -> Iterator[Task]:
    for mode, over in (("plain", "plain"), ("tls", "TLS 1.3")):
        for direction in ("in", "out"):
            server = _server(direction, mode, count)
            yield Task(f"{direction}, {over}", f"bulk_{direction}", server, count, mode, _bytes_per_second)


def _targets() -> Iterator[Target]:
    for loop in LOOPS:
        for direction in ("in", "out"):
            plain, tls = f"{direction}, plain, {loop}", f"{direction}, TLS 1.3, {loop}"
            yield Target("≥ 0.9 × c", plain, ("c",), ">=", 0.9)
            yield Target("≥ 1.0 × the best Python peer", plain, PYTHON_PEERS, ">=", 1.0)
            yield Target("≥ 1.0 × the best Python peer", tls, PYTHON_PEERS, ">=", 1.0)
            yield Target("≥ 1.0 × blocking-ssl", tls, ("blocking-ssl",), ">=", 1.0)
            for case in (plain, tls):
                yield _flat(case)
        yield Target("read_into ≥ 0.9 × c", f"in, plain, {loop}", ("c",), ">=", 0.9, "longshore-read-into")


def _flat(case: str) -> Target:
    claim = f"memory grows by ≤ {_FLAT_BYTES >> 20} MiB"
    return Target(claim, case, (), "<=", 1.0, metric="rss_growth_bytes", per=_FLAT_BYTES)


def make(scale: Scale) -> Bench:
    """Return the bench."""
    count = scale.pick(1024, 32) * 1024 * 1024
    return Bench(
        "bulk",
        f"{count >> 20} MiB in and out, in pieces of 256 KiB",
        "B/s",
        False,
        tuple(_tasks(count)),
        contenders_for("bulk_in", "bulk_out"),
        tuple(_targets()),
        extras=(Extra("cpu_seconds", "cpu_seconds"), Extra("rss_growth_bytes", "rss_growth_bytes", is_worst=True)),
    )
