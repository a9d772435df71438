"""From rounds to a result, and from results to verdicts (PURE)."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.model import CaseResult, Result, Target, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.model import Extra

__all__ = ["best", "judge", "judge_all", "reduce_extra", "summarize"]


def summarize(values: Sequence[float], extras: Mapping[str, float] | None = None) -> Result:
    """Return median and spread of the counted rounds.

    Raises:
        ValueError: there is no round.
    """
    if not values:
        raise ValueError("no counted round")
    return Result(median(values), min(values), max(values), len(values), dict(extras or {}))


def reduce_extra(extra: Extra, values: Sequence[float], count: int) -> float:
    """Return the one number that stands for the rounds."""
    kept = max(values) if extra.is_worst else median(values)
    return kept / count if extra.is_per_count else kept


def best(case: CaseResult, names: Iterable[str]) -> tuple[str, float] | None:
    """Return name and median of the best of those who ran, None when none of them did."""
    ran = [(name, case.contenders[name].median) for name in names if name in case.contenders]
    if not ran:
        return None
    pick = min if case.lower_is_better else max
    return pick(ran, key=lambda pair: pair[1])


def _holds(ratio: float, relation: str, bound: float) -> bool:
    if relation == "<=":
        return ratio <= bound
    if relation == "<":
        return ratio < bound
    if relation == ">=":
        return ratio >= bound
    raise ValueError(f"relation {relation!r} is none of '<=', '<', '>='")


def judge(target: Target, case: CaseResult) -> Verdict:
    """Hold one target against its case: our median over that of the best other, or over nothing."""
    ours = case.contenders.get(target.subject)
    other = best(case, target.against)
    if ours is None or (target.against and other is None):
        absent = target.subject if ours is None else " and ".join(target.against)
        return Verdict(target.claim, target.case, None, target.bound, False, f"{absent} did not run")
    if other is None:
        own = ours.median if target.metric == "median" else ours.extras[target.metric]
        return _verdict(target, own / target.per, "")
    return _verdict(target, ours.median / other[1], f"compared with {other[0]}")


def _verdict(target: Target, ratio: float, note: str) -> Verdict:
    is_met = _holds(ratio, target.relation, target.bound)
    return Verdict(target.claim, target.case, ratio, target.bound, is_met, note)


def judge_all(targets: Iterable[Target], cases: Sequence[CaseResult]) -> tuple[Verdict, ...]:
    """Judge every target.

    Raises:
        KeyError: a target names a case that the bench does not have.
    """
    by_name = {case.case: case for case in cases}
    return tuple(judge(target, by_name[target.case]) for target in targets)
