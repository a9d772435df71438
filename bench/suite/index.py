"""Finds a bench by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.suite import bulk, dial, echo, flights, http, idle, pool, pool_cache, pool_worker, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.model import Bench, Scale

__all__ = ["NAMES", "bench_named"]

_MAKERS: Mapping[str, Callable[[Scale], Bench]] = {
    "echo": echo.make,
    "bulk": bulk.make,
    "dial": dial.make,
    "idle": idle.make,
    "flights": flights.make,
    "http": http.make_http,
    "http-socket": http.make_http_socket,
    "cold": http.make_cold,
    "sandbox": sandbox.make,
    "pool": pool.make,
    "pool-cache": pool_cache.make,
    "pool-worker": pool_worker.make,
}

NAMES = tuple(_MAKERS)
"""In the order of a report."""


def bench_named(name: str, scale: Scale) -> Bench:
    """Return a bench, its counts fitted to the scale.

    Raises:
        KeyError: there is none of that name.
    """
    return _MAKERS[name](scale)
