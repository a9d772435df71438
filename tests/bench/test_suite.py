"""Every bench is consistent with itself, at both scales."""

from __future__ import annotations

import pytest

from bench.model import Bench, Scale
from bench.suite import NAMES, bench_named
from bench.suite.roster import contenders_for

_SERVERS = {"uvicorn", "workerd"}
_PEERS = {
    "http": _SERVERS,
    "http-socket": _SERVERS,
    "cold": _SERVERS,
    "sandbox": {"outside"},
    "pool": {"pgbouncer", "direct"},
    "pool-cache": {"uncached"},
    "pool-worker": {"pgbouncer"},
}
SCALES = [Scale(), Scale(is_quick=True)]


@pytest.fixture(params=[(name, scale) for name in NAMES for scale in SCALES], ids=str)
def bench(request: pytest.FixtureRequest) -> Bench:
    name, scale = request.param
    return bench_named(name, scale)


def takers(bench: Bench) -> dict[str, set[str]]:
    """Return who takes part in each case."""
    return {
        f"{task.name}, {loop}": {
            contender.name
            for contender in bench.contenders
            if contender.takes_part(task) and contender.loop in (None, loop)
        }
        for task in bench.tasks
        for loop in bench.loops
    }


def test_targets_name_cases_and_contenders_that_exist(bench: Bench) -> None:
    there = takers(bench)
    for target in bench.targets:
        assert {target.subject, *target.against} <= there[target.case]
        assert target.metric == "median" or target.metric in {extra.name for extra in bench.extras}


def test_each_case_has_us_and_a_peer_and_no_name_twice(bench: Bench) -> None:
    for task in bench.tasks:
        for loop in bench.loops:
            names = [c.name for c in bench.contenders if c.takes_part(task) and c.loop in (None, loop)]
            assert len(names) == len(set(names))
            peers = _PEERS.get(bench.name, {"asyncio-streams", "anyio"})
            assert {"longshore", *peers} <= set(names)


def test_every_contender_has_something_to_do(bench: Bench) -> None:
    for contender in bench.contenders:
        assert any(contender.takes_part(task) for task in bench.tasks)


def test_verb_picks_its_contenders() -> None:
    assert "c" not in {contender.name for contender in contenders_for("idle")}
    assert "blocking-ssl" in {contender.name for contender in contenders_for("bulk_in")}


def test_unknown_bench_is_refused() -> None:
    with pytest.raises(KeyError):
        bench_named("coffee", Scale())
