"""docs/conformance.md names tests that exist, and every rule of the contract has some."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
CASES = range(1, 49)
PROBED = range(1, 19)
RULES = [f"K{number}" for number in range(1, 16)]


@cache
def functions(path: str) -> dict[str, str]:
    """Return the tests of a file with their docstrings."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {node.name: ast.get_docstring(node) or "" for node in found if node.name.startswith("test_")}


@cache
def named() -> tuple[tuple[str, str], ...]:
    """Return every ``(path, test)`` on the page; no test where a whole file is named."""
    return tuple(dict.fromkeys(NAMED.findall(PAGE.read_text(encoding="utf-8"))))


def first_column(heading: str) -> list[str]:
    """Return what the rows below a heading begin with."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("|")]


def test_every_named_test_exists() -> None:
    """By file and function."""
    missing = [f"{path}::{name}" for path, name in named() if not (ROOT / path).is_file()]
    missing += [f"{path}::{name}" for path, name in named() if name and name not in functions(path)]
    assert not missing


def test_every_conformance_test_is_named() -> None:
    """What is in tests/conformance stands on the page."""
    listed = set(named())
    files = sorted((ROOT / "tests" / "conformance").glob("test_*.py"))
    assert len(files) > 5
    paths = [path.relative_to(ROOT).as_posix() for path in files]
    assert [(path, name) for path in paths for name in functions(path) if (path, name) not in listed] == []


def test_every_numbered_case_has_its_row() -> None:
    """1 to 48, and the 18 that were found by probing."""
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"\n## (\d\. .*)\n", text)
    rows = [cell for heading in headings[:5] for cell in first_column(heading)]
    covered = {int(number) for cell in rows for number in expand(cell)}
    assert covered == set(CASES)
    assert [cell for cell in first_column(headings[-1]) if cell.isdigit()] == [str(number) for number in PROBED]


def expand(cell: str) -> list[int]:
    """Return the numbers in ``3``, ``47 a``, ``27, 28``."""
    return [int(number) for number in re.findall(r"\d+", cell)]


def test_every_row_has_a_test_or_a_reason() -> None:
    """An empty cell would be a case nobody decided about."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 120
    for row in rows:
        answer = row.rstrip("|").split("|")[-1]
        assert answer.strip() in ("test", "tests") or "does not apply: " in answer or NAMED.search(answer), row


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_named_in_a_docstring(rule: str) -> None:
    """In a test that begins with it, and on the page."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    docstrings = [text for path in files for text in functions(path.relative_to(ROOT).as_posix()).values()]
    assert any(text.startswith(f"{rule}:") for text in docstrings)
    assert f"\n| {rule} |" in PAGE.read_text(encoding="utf-8")


def test_every_conformance_test_names_its_rule() -> None:
    """So that a failure says what was broken."""
    for path in sorted((ROOT / "tests" / "conformance").glob("test_*.py")):
        for name, text in functions(path.relative_to(ROOT).as_posix()).items():
            assert re.match(r"K\d+: ", text), f"{path.name}::{name}"
