"""Results made up for the tests of the bench."""

from __future__ import annotations

from bench.model import BenchResult, CaseResult, Missing, Result, Scale, Target
from bench.stats import judge_all

__all__ = ["CASE", "RATES", "a_result"]

CASE = CaseResult(
    "64 B, uvloop",
    "s/op",
    True,
    {
        "longshore": Result(12e-6, 11e-6, 13e-6, 5, {"rss_growth_bytes": 2048}),
        "c": Result(10e-6, 9e-6, 11e-6, 5),
        "anyio": Result(20e-6, 19e-6, 21e-6, 5),
    },
    (Missing("node", "program 'node' is not on this machine"),),
)
RATES = CaseResult("in, plain, uvloop", "B/s", False, {"longshore": Result(2.0, 1, 3, 5), "trio": Result(4.0, 3, 5, 5)})

_FULL = Scale()


def a_result(scale: Scale = _FULL) -> BenchResult:
    """Return a whole result with one target met and one not."""
    targets = (
        Target("≤ 1.3 × c", CASE.case, ("c",), "<=", 1.3),
        Target("≥ 1.0 × the best Python peer", RATES.case, ("trio", "anyio"), ">=", 1.0),
    )
    machine = {
        "processor": "Example 9000",
        "cores": 2,
        "system": "Linux 6.1 x86_64",
        "pinned": True,
        "versions": {"python": "3.11.7"},
    }
    return BenchResult("echo", machine, (CASE, RATES), judge_all(targets, (CASE, RATES)), scale)
