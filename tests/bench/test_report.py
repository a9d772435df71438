"""The page for people."""

from __future__ import annotations

import pytest

from bench.model import Scale
from bench.report import performance_page
from tests.bench.samples import a_result


def test_page_holds_targets_cases_machine_and_how_to_repeat() -> None:
    page = performance_page([a_result()])
    assert "| ≤ 1.3 × c | 64 B, uvloop | 1.20 | met | compared with c |" in page
    assert "### in, plain, uvloop (B/s, higher is better)" in page
    assert "Example 9000, 2 cores, Linux 6.1 x86_64." in page
    assert "python -m bench report" in page
    assert "not** pinned" not in page
    assert "`--quick` run" not in page


def test_page_of_a_quick_run_says_so() -> None:
    assert "A `--quick` run" in performance_page([a_result(Scale(is_quick=True))])


def test_nothing_to_report_is_refused() -> None:
    with pytest.raises(ValueError, match="no results"):
        performance_page([])
