"""Tests of ``tools/gen_lifecycle_table.py``, and that the page is up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.sockets._lifecycle import TRANSITIONS
from tests.sockets.settle_matrix import ROWS
from tools import gen_lifecycle_table
from tools.gen_lifecycle_table import PAGE, generated, main

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_says_what_is_tested() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == generated(page), "run python -m tools.gen_lifecycle_table"


def test_every_row_and_every_transition_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"| {row.title} |" in page for row in ROWS)
    assert page.count("\n| **") == sum(max(1, len(events)) for events in TRANSITIONS.values())


def test_a_drifted_page_fails_the_check_and_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "page.md"
    good = PAGE.read_text(encoding="utf-8")
    copy.write_text(good.replace("| `ConnectError` |", "| resolves |", 1), encoding="utf-8")
    monkeypatch.setattr(gen_lifecycle_table, "PAGE", copy)
    assert main(["--check"]) == 1
    assert "page.md differs" in capsys.readouterr().out
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert copy.read_text(encoding="utf-8") == good


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="begin settle matrix"):
        generated("# A page\n")


def test_unknown_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--chekc"]) == 64
    assert "usage" in capsys.readouterr().out
