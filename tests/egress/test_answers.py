"""Tests of ``longshore.egress.answers``."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from longshore.egress.answers import Answer, AnswerCache

FOUND = Answer("found", (ip_address("192.0.2.1"),), 10, code=3, reason="r")


def test_an_answer_is_kept_for_its_time_and_tells_what_is_left() -> None:
    cache = AnswerCache()
    cache.put("a", FOUND, 100.0)
    assert cache.get("a", 100.0) == FOUND
    assert cache.get("a", 103.2) == replace(FOUND, ttl_s=7)
    assert cache.get("a", 109.99) == replace(FOUND, ttl_s=1)
    assert len(cache) == 1
    assert cache.get("a", 110.0) is None
    assert len(cache) == 0


def test_what_may_not_be_kept_is_not_and_replaces_what_was() -> None:
    cache = AnswerCache()
    cache.put("a", FOUND, 0.0)
    cache.put("a", replace(FOUND, ttl_s=0), 1.0)
    assert cache.get("a", 1.0) is None


def test_a_later_answer_replaces_an_earlier_one() -> None:
    cache = AnswerCache()
    later = Answer("no-name", ttl_s=5)
    cache.put("a", FOUND, 0.0)
    cache.put("a", later, 9.0)
    assert cache.get("a", 9.0) == later
    assert cache.get("a", 14.0) is None


def test_the_oldest_goes_first() -> None:
    cache = AnswerCache(max_hosts=2)
    for host in ("a", "b", "a", "c"):
        cache.put(host, FOUND, 0.0)
    assert [host for host in "abc" if cache.get(host, 0.0)] == ["a", "c"]


def test_an_answer_can_be_forgotten() -> None:
    cache = AnswerCache()
    cache.put("a", FOUND, 0.0)
    cache.forget("a")
    cache.forget("never there")
    assert cache.get("a", 0.0) is None
