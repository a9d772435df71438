"""Write ``docs/pool-suites.md`` from the results of the last runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.suites.catalogue import SUITES
from tests.suites.outcome import Comparison, Outcome
from tests.suites.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load", "page", "write_report"]

_PAGE = Path(__file__).parents[2] / "docs" / "pool-suites.md"
_HEAD = """\
# Driver suites through the pool

The test suites of PostgreSQL drivers, unmodified, out of their sdists: run directly against PostgreSQL, and through the
pool in its default (transaction) mode. *Differs* counts the tests that pass directly and not through the pool; each is
listed below with its reason.

Made by `python -m tests.suites all`, which fetches the sdists, starts its own PostgreSQL and pool, and writes this
page.

| Suite | Version | Passed directly | Passed through the pool | Differs |
|---|---|---|---|---|
"""


def write_report(results: Path) -> None:
    """Write the page."""
    _PAGE.write_text(page({name: each for name in SUITES if (each := load(name, results)) is not None}))


def load(name: str, results: Path) -> Comparison | None:
    """Return the results of a suite, None where a run is missing."""
    outcomes = []
    for way in ("direct", "pool"):
        path = results / f"{name}.{way}.json"
        if not path.exists():
            return None
        outcomes.append(Outcome(**{key: set(tests) for key, tests in json.loads(path.read_text()).items()}))
    return Comparison(*outcomes)


def page(comparisons: dict[str, Comparison]) -> str:
    """Return the page."""
    return _HEAD + "\n".join([*_rows(comparisons), "", *_exceptions(comparisons)]) + "\n"


def _rows(comparisons: dict[str, Comparison]) -> Iterator[str]:
    for name, each in comparisons.items():
        suite = SUITES[name]
        title = f"{suite.package}, dialect suite with {suite.dialect}" if suite.dialect else suite.package
        counts = f"{len(each.direct.passed)} | {len(each.pooled.passed)} | {len(each.broken)}"
        yield f"| {title} | {suite.version} | {counts} |"


def _exceptions(comparisons: dict[str, Comparison]) -> Iterator[str]:
    yield "## What differs, and why"
    yield ""
    broken = [(name, test) for name, each in comparisons.items() for test in each.broken]
    for name, test in broken:
        yield f"- `{name}`: `{test}`: {reason_of(test)}"
    if not broken:
        yield "Nothing."


def reason_of(test: str) -> str:
    """Return why a test differs."""
    return next((reason for part, reason in REASONS.items() if part in test), "**not explained yet**")
