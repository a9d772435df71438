"""The JSON has the shape that DESIGN §6 names, and comes back as it was."""

from __future__ import annotations

import json

from bench.jsonform import from_json, to_json
from bench.model import Scale
from tests.bench.samples import a_result


def test_shape() -> None:
    data = json.loads(json.dumps(to_json(a_result())))
    assert set(data) == {"bench", "machine", "quick", "cases", "targets"}
    case = data["cases"][0]
    assert set(case) == {"case", "unit", "lower_is_better", "contenders", "missing"}
    assert case["contenders"]["c"] == {"median": 10e-6, "min": 9e-6, "max": 11e-6, "rounds": 5}
    assert case["contenders"]["longshore"]["rss_growth_bytes"] == 2048
    assert case["missing"] == [{"contender": "node", "why": "program 'node' is not on this machine", "failed": False}]
    target = data["targets"][0]
    assert set(target) == {"claim", "case", "ratio", "bound", "met", "note"}
    assert (target["claim"], target["bound"], target["met"]) == ("≤ 1.3 × c", 1.3, True)


def test_round_trip() -> None:
    result = a_result(Scale(is_quick=True, rounds=5))
    assert from_json(json.loads(json.dumps(to_json(result)))) == result
