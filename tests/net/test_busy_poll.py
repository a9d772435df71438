"""Tests of ``longshore.net.busy_poll``; that streams poll is seen in ``test_streams.py``."""

from __future__ import annotations

import os

import pytest

from longshore.net.busy_poll import usable_processors


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin processes")
def test_processors_that_others_keep_are_not_counted() -> None:
    before = os.sched_getaffinity(0)
    assert usable_processors() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_processors() == 1
    finally:
        os.sched_setaffinity(0, before)
