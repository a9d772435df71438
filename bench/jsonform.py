"""The JSON of a result, there and back (PURE): what ``--json`` writes and ``report --from`` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.model import BenchResult, CaseResult, Missing, Result, Scale, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["from_json", "to_json"]

Json = dict[str, Any]


def _result_to_json(result: Result) -> Json:
    spread = {"median": result.median, "min": result.min, "max": result.max, "rounds": result.rounds}
    return {**spread, **result.extras}


def _case_to_json(case: CaseResult) -> Json:
    return {
        "case": case.case,
        "unit": case.unit,
        "lower_is_better": case.lower_is_better,
        "contenders": {name: _result_to_json(result) for name, result in case.contenders.items()},
        "missing": [{"contender": item.contender, "why": item.why, "failed": item.has_failed} for item in case.missing],
    }


def _verdict_to_json(verdict: Verdict) -> Json:
    return {
        "claim": verdict.claim,
        "case": verdict.case,
        "ratio": verdict.ratio,
        "bound": verdict.bound,
        "met": verdict.is_met,
        "note": verdict.note,
    }


def to_json(result: BenchResult) -> Json:
    """Return the result as plain lists, dicts, strings and numbers."""
    return {
        "bench": result.bench,
        "machine": dict(result.machine),
        "quick": result.scale.is_quick,
        "cases": [_case_to_json(case) for case in result.cases],
        "targets": [_verdict_to_json(verdict) for verdict in result.targets],
    }


_SPREAD = ("median", "min", "max", "rounds")


def _result(data: Mapping[str, Any]) -> Result:
    extras = {key: value for key, value in data.items() if key not in _SPREAD}
    return Result(data["median"], data["min"], data["max"], data["rounds"], extras)


def _case(data: Mapping[str, Any]) -> CaseResult:
    return CaseResult(
        data["case"],
        data["unit"],
        data["lower_is_better"],
        {name: _result(result) for name, result in data["contenders"].items()},
        tuple(Missing(item["contender"], item["why"], item["failed"]) for item in data["missing"]),
    )


def _verdict(data: Mapping[str, Any]) -> Verdict:
    return Verdict(data["claim"], data["case"], data["ratio"], data["bound"], data["met"], data["note"])


def from_json(data: Mapping[str, Any]) -> BenchResult:
    """Return the result that ``to_json`` made this of.

    Raises:
        KeyError: a key is absent.
    """
    rounds = max((r["rounds"] for case in data["cases"] for r in case["contenders"].values()), default=0)
    return BenchResult(
        data["bench"],
        data["machine"],
        tuple(_case(case) for case in data["cases"]),
        tuple(_verdict(verdict) for verdict in data["targets"]),
        Scale(data["quick"], rounds),
    )
