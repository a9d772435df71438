"""Medians, spreads, and how a target is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.model import Extra, Result, Target
from bench.stats import best, judge, judge_all, reduce_extra, summarize
from tests.bench.samples import CASE, RATES


def test_summary_is_median_and_spread() -> None:
    result = summarize([5.0, 1.0, 3.0, 2.0, 100.0], {"segments": 2})
    assert (result.median, result.min, result.max, result.rounds) == (3.0, 1.0, 100.0, 5)
    assert result.extras == {"segments": 2}


def test_extras_keep_the_worst_or_the_median() -> None:
    assert reduce_extra(Extra("rss", "rss", is_worst=True), [3.0, 1.0, 2.0], 10) == 3.0
    assert reduce_extra(Extra("cpu", "cpu", is_per_count=True), [30.0, 10.0, 20.0], 10) == 2.0


def test_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no counted round"):
        summarize([])


def test_best_is_the_smallest_time_and_the_largest_rate() -> None:
    assert best(CASE, ("c", "anyio")) == ("c", 10e-6)
    assert best(RATES, ("longshore", "trio")) == ("trio", 4.0)
    assert best(CASE, ("node",)) is None


@pytest.mark.parametrize(
    ("relation", "bound", "is_met"),
    [
        ("<=", 1.5, True),
        ("<=", 1.4, False),
        ("<", 1.6, True),
        ("<", 1.5, False),
        (">=", 1.5, True),
        (">=", 1.6, False),
    ],
)
def test_ratio_is_ours_over_theirs(relation: str, bound: float, is_met: bool) -> None:
    case = replace(CASE, contenders={"longshore": Result(3.0, 3, 3, 5), "c": Result(2.0, 2, 2, 5)})
    verdict = judge(Target("claim", CASE.case, ("c",), relation, bound), case)
    assert (verdict.ratio, verdict.is_met, verdict.note) == (1.5, is_met, "compared with c")


def test_best_of_several_is_compared() -> None:
    verdict = judge(Target("no peer faster", CASE.case, ("anyio", "node"), "<=", 1.0), CASE)
    assert verdict.ratio == pytest.approx(0.6)
    assert verdict.is_met


def test_rate_below_the_best_peer_is_not_met() -> None:
    assert judge(Target("≥ best", RATES.case, ("trio",), ">=", 1.0), RATES).is_met is False


@pytest.mark.parametrize(
    ("subject", "against", "absent"),
    [("longshore-read-into", ("c",), "longshore-read-into"), ("longshore", ("node",), "node")],
)
def test_absent_contender_leaves_a_target_unproven(subject: str, against: tuple[str, ...], absent: str) -> None:
    verdict = judge(Target("claim", CASE.case, against, "<=", 9.9, subject), CASE)
    assert (verdict.ratio, verdict.is_met, verdict.note) == (None, False, f"{absent} did not run")


def test_target_without_others_judges_our_own_number() -> None:
    own = Target("0 extra flights", CASE.case, (), "<=", 0.0)
    assert judge(own, CASE).is_met is False
    memory = Target("≤ 4 KiB", CASE.case, (), "<=", 1.0, metric="rss_growth_bytes", per=4096)
    assert (judge(memory, CASE).ratio, judge(memory, CASE).is_met) == (0.5, True)


def test_unknown_relation_and_unknown_case_are_refused() -> None:
    with pytest.raises(ValueError, match="relation '!='"):
        judge(Target("claim", CASE.case, ("c",), "!=", 1.0), CASE)
    with pytest.raises(KeyError):
        judge_all([Target("claim", "no such case", ("c",), "<=", 1.0)], [CASE])
