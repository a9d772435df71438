"""The benches, one module each."""

from __future__ import annotations

from bench.suite.index import NAMES, bench_named

__all__ = ["NAMES", "bench_named"]
