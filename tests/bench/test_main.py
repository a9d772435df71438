"""The command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import main
from bench.jsonform import to_json
from bench.suite import NAMES
from tests.bench.samples import a_result

if TYPE_CHECKING:
    from pathlib import Path


def test_help_names_every_bench(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in (*NAMES, "report", "list", "--quick", "--json", "--only"))


def test_list_shows_the_contenders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "asyncio-streams (uvloop)" in capsys.readouterr().out


def test_unknown_contender_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["echo", "--only", "c,rust"]) == 64
    assert "no contender 'rust'; there are anyio, " in capsys.readouterr().err


def test_too_few_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["echo", "--rounds", "0"]) == 64
    assert "--rounds: 0" in capsys.readouterr().err


def test_report_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "docs" / "performance.md"
    monkeypatch.setattr("bench.__main__._PAGE", page)
    (tmp_path / "echo.json").write_text(json.dumps(to_json(a_result())), encoding="utf-8")
    assert main(["report", "--from", str(tmp_path)]) == 0
    assert "Example 9000" in page.read_text(encoding="utf-8")


def test_report_from_an_empty_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--from", str(tmp_path)]) == 64
    assert "expected files like 'echo.json'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.needs("gcc")
def test_short_run_writes_valid_json(tmp_path: Path) -> None:
    path = tmp_path / "echo.json"
    assert main(["echo", "--quick", "--rounds", "1", "--json", str(path)]) == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["bench"], data["quick"]) == ("echo", True)
    assert [case["case"] for case in data["cases"]] == ["64 B, asyncio", "64 B, uvloop"]
    for case in data["cases"]:
        for result in case["contenders"].values():
            assert 0 < result["min"] <= result["median"] <= result["max"]
            assert result["rounds"] == 1
    assert {"c", "longshore", "asyncio-streams"} <= set(data["cases"][0]["contenders"])
