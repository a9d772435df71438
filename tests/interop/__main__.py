"""``python -m tests.interop report``: run the matrix in a sandboxed worker and write ``docs/drivers.md``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.interop.matrix import cases
from tests.interop.report import page, versions

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drivers.md"
TESTS = ROOT / "tests" / "interop" / "test_sandboxed.py"

USAGE_ERROR = 64


class Recorder:
    """A plugin of pytest that keeps which tests passed."""

    def __init__(self) -> None:
        self.results: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome; a test that could not be set up has failed."""
        if report.when == "call" or not report.passed:
            name = report.nodeid.partition("[")[2].removesuffix("]")
            self.results[name] = report.passed


def report() -> int:
    """Run the matrix and write the page, whatever came of it; return pytest's exit code."""
    recorder = Recorder()
    code = pytest.main(["-q", "-p", "no:randomly", str(TESTS)], plugins=[recorder])
    if not recorder.results:
        return int(code)
    PAGE.write_text(page(recorder.results, versions(), list(cases())), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")  # noqa: T201 - to who called it
    return int(code)


if __name__ == "__main__":
    if sys.argv[1:] != ["report"]:
        print("usage: python -m tests.interop report", file=sys.stderr)  # noqa: T201 - to who called it
        sys.exit(USAGE_ERROR)
    sys.exit(report())
