"""A run: rounds, contenders that are missing or break off, and what is kept of the readings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.contenders.job import HOST
from bench.harness import absence, run_bench
from bench.model import Bench, BenchResult, ContenderSpec, Scale, ServerSpec, Target, Task
from bench.native_build import BuildError, NativePrograms
from bench.suite import bench_named

if TYPE_CHECKING:
    from pathlib import Path

ECHO = frozenset({"echo"})
C = ContenderSpec("c", None, "native", (), ECHO)
STREAMS = ContenderSpec("asyncio-streams", "asyncio", "asyncio_streams", (), ECHO)
TASK = Task("64 B", "echo", ServerSpec("echo_server"), 20)


def bench_of(*contenders: ContenderSpec) -> Bench:
    target = Target("≤ 9 × c", "64 B, asyncio", ("c",), "<=", 9.0, "asyncio-streams")
    return Bench("echo", "a short one", "s/op", True, (TASK,), contenders, (target,))


@pytest.mark.parametrize(
    ("requires", "why"),
    [
        ((), None),
        (("trustme",), None),
        (("no_such_package",), "python package 'no_such_package' is not installed"),
        (("!no-such-program",), "program 'no-such-program' is not on this machine"),
        (("npm:no-such-package",), "npm package 'no-such-package' is not installed in bench/node"),
    ],
)
def test_absence_says_what_is_missing(requires: tuple[str, ...], why: str | None) -> None:
    assert absence(ContenderSpec("x", None, "x", requires)) == why


@pytest.fixture(scope="module")
def result() -> BenchResult:
    absent = replace(STREAMS, name="anyio", requires=("no_such_package",))
    broken = replace(STREAMS, name="broken", module="no_such_module")
    return run_bench(bench_of(C, STREAMS, absent, broken), Scale(is_quick=True, rounds=2))


@pytest.mark.needs("gcc")
def test_contender_without_a_loop_stands_in_both_cases(result: BenchResult) -> None:
    asyncio_case, uvloop_case = result.cases
    assert set(asyncio_case.contenders) == {"c", "asyncio-streams"}
    assert set(uvloop_case.contenders) == {"c"}
    assert asyncio_case.contenders["c"] == uvloop_case.contenders["c"]


@pytest.mark.needs("gcc")
def test_warm_up_round_does_not_count(result: BenchResult) -> None:
    assert {found.rounds for case in result.cases for found in case.contenders.values()} == {2}


@pytest.mark.needs("gcc")
def test_missing_and_failed_are_reported(result: BenchResult) -> None:
    absent, broken = result.cases[0].missing
    assert (absent.contender, absent.has_failed) == ("anyio", False)
    assert (broken.contender, broken.has_failed) == ("broken", True)
    assert "failed in round 0: exit 1: ModuleNotFoundError" in broken.why


@pytest.mark.needs("gcc")
def test_target_is_judged(result: BenchResult) -> None:
    (verdict,) = result.targets
    assert verdict.ratio is not None
    assert (verdict.claim, verdict.note) == ("≤ 9 × c", "compared with c")


@pytest.mark.needs("gcc")
def test_only_the_contenders_asked_for_run() -> None:
    progress: list[str] = []
    result = run_bench(bench_of(C, STREAMS), Scale(is_quick=True, rounds=1), {"c"}, progress.append)
    assert set(result.cases[0].contenders) == {"c"}
    assert result.cases[0].missing == ()
    assert progress == ["echo: round 0 of 1, c", "echo: round 1 of 1, c"]


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("name", ["asyncio-streams", "anyio", "trio", "longshore"])
def test_no_client_waits_for_a_flight_that_the_protocol_does_not_need(name: str) -> None:
    result = run_bench(bench_named("flights", Scale()), Scale(is_quick=True, rounds=1), {name})
    assert [case.missing for case in result.cases] == [()] * 8
    assert {case.case: case.contenders[name].median for case in result.cases if name in case.contenders} == {
        case.case: 0.0 for case in result.cases
    }


@pytest.mark.needs("gcc")
def test_program_that_does_not_compile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.c").write_text("int main(void) { return }", encoding="ascii")
    monkeypatch.setattr("bench.native_build._SOURCES", tmp_path)
    with pytest.raises(BuildError, match=r"could not compile wrong\.c"):
        NativePrograms(tmp_path).path("wrong")


def test_without_a_compiler_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.native_build.compiler", lambda: None)
    with pytest.raises(BuildError, match="install gcc"):
        NativePrograms(tmp_path).path("echo_server")


def test_contenders_dial_a_literal() -> None:
    assert HOST == "127.0.0.1"
