"""The page says what came of the runs, and the one in the documentation is that of this matrix."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.matrix import CLIENTS, cases
from tests.interop.report import page

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"
CASES = list(cases())
ALL_WORK = {case.name: True for case in CASES}


def without_versions(text: str) -> str:
    """Return a page with the second cells of its tables emptied."""
    return re.sub(r"^(\| [^|]+ \|)[^|]*(\|.*\|.*\|)$", r"\1 \2", text, flags=re.MULTILINE)


def test_names_of_cases_are_unique() -> None:
    """Results are kept by them."""
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_client_has_a_module_and_every_module_a_client() -> None:
    """A script that no row runs would be dead, a row without a script a typing error."""
    folder = Path(__file__).parent / "clients"
    with_run = {path.stem for path in folder.glob("*.py") if "def run(target" in path.read_text(encoding="utf-8")}
    assert with_run == {client.module for client in CLIENTS}


def test_a_client_that_fails_once_does_not_work() -> None:
    """And its row names where."""
    text = page({**ALL_WORK, "postgres_asyncpg-uvloop-tls": False}, {"postgres_asyncpg": "1.2"}, CASES)
    assert "| asyncpg | 1.2 | asyncio and uvloop: plain, TLS | does not: uvloop TLS |" in text
    assert f"**{len(CLIENTS) - 1} of {len(CLIENTS)} clients work" in text


def test_a_run_that_is_missing_has_failed() -> None:
    """What was not run is not known to work."""
    text = page({name: True for name in ALL_WORK if name != "redis_sync-plain"}, {}, CASES)
    assert "| redis-py |  | thread: plain, TLS | does not: plain |" in text


def test_page_in_the_documentation_is_of_this_matrix() -> None:
    """All of it works, but for versions it is what the report writes: run `python -m tests.interop report`."""
    assert without_versions(PAGE.read_text(encoding="utf-8")) == without_versions(page(ALL_WORK, {}, CASES))
