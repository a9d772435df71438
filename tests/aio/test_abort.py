"""Tests of ``longshore.aio.abort``."""

from __future__ import annotations

import asyncio

import pytest

from longshore.aio.abort import AbortController, AbortSignal


def test_a_new_signal_is_quiet() -> None:
    signal = AbortController().signal
    assert not signal.aborted
    assert signal.reason is None


def test_abort_tells_everybody_once_with_the_reason() -> None:
    controller = AbortController()
    heard: list[object] = []
    controller.signal.add_callback("a", heard.append)
    controller.signal.add_callback("b", heard.append)
    controller.abort("enough")
    controller.abort("again")
    assert heard == ["enough", "enough"]
    assert controller.signal.aborted
    assert controller.signal.reason == "enough"


def test_who_comes_late_is_told_at_once() -> None:
    controller = AbortController()
    controller.abort("enough")
    heard: list[object] = []
    controller.signal.add_callback("a", heard.append)
    assert heard == ["enough"]


def test_who_is_removed_is_not_told() -> None:
    controller = AbortController()
    heard: list[object] = []
    controller.signal.add_callback("a", heard.append)
    controller.signal.remove_callback("a")
    controller.signal.remove_callback("never added")
    controller.abort()
    assert heard == []


def test_a_callback_may_remove_another_and_add_one() -> None:
    controller = AbortController()
    signal = controller.signal
    heard: list[object] = []

    def first(reason: object) -> None:
        signal.remove_callback("second")
        signal.add_callback("third", heard.append)
        heard.append(f"first {reason}")

    signal.add_callback("first", first)
    signal.add_callback("second", heard.append)
    controller.abort("x")
    assert heard[:2] == ["x", "first x"]


@pytest.mark.parametrize("which", [0, 1])
def test_any_follows_the_first_that_aborts(which: int) -> None:
    controllers = [AbortController(), AbortController()]
    combined = AbortSignal.any(*(controller.signal for controller in controllers))
    assert not combined.aborted
    controllers[which].abort(which)
    controllers[1 - which].abort("late")
    assert combined.reason == which


def test_any_of_an_aborted_signal_is_aborted() -> None:
    controller = AbortController()
    controller.abort("before")
    assert AbortSignal.any(AbortSignal(), controller.signal).reason == "before"


async def test_timeout_aborts_with_a_timeout_error() -> None:
    signal = AbortSignal.timeout(0.001)
    assert not signal.aborted
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    signal.add_callback(told, told.set_result)
    reason = await told
    assert isinstance(reason, TimeoutError)
    assert "0.001 s" in str(reason)


def test_timeout_needs_a_loop() -> None:
    with pytest.raises(RuntimeError):
        AbortSignal.timeout(1)
