"""Tests of ``longshore.egress.token_bucket``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.egress.token_bucket import TokenBucket


def test_a_burst_is_free_then_it_takes_its_time() -> None:
    rate = TokenBucket(10.0, 3, 100.0)
    assert [rate.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rate.take(100.0) == pytest.approx(0.1)
    assert rate.take(100.05) == pytest.approx(0.05)
    assert rate.take(100.101) == 0.0
    assert rate.take(100.101) > 0.0


def test_no_more_than_a_burst_is_saved() -> None:
    rate = TokenBucket(10.0, 2, 0.0)
    assert [rate.take(1000.0) > 0 for _ in range(3)] == [False, False, True]


@given(st.lists(st.floats(0, 5), max_size=50), st.floats(0.5, 100), st.integers(1, 20))
def test_never_more_than_burst_and_rate_allow(steps: list[float], per_s: float, burst: int) -> None:
    rate, now, taken = TokenBucket(per_s, burst, 0.0), 0.0, 0
    for step in steps:
        now += step
        taken += rate.take(now) == 0.0
    assert taken <= burst + now * per_s + 1e-6
