"""Tests of ``longshore.aio.promise``."""

from __future__ import annotations

import asyncio
import gc
import traceback

import pytest

from longshore.aio.promise import Promise


async def test_it_gives_its_value_to_everybody_before_and_after() -> None:
    promise: Promise[int] = Promise()
    waiting = [asyncio.create_task(value_of(promise)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not promise.done()
    promise.resolve(7)
    assert await asyncio.gather(*waiting) == [7, 7, 7]
    assert await promise == await promise == promise.result() == 7
    assert promise.done()
    assert promise.exception() is None


async def test_an_error_is_raised_for_everybody_and_its_traceback_does_not_grow() -> None:
    promise: Promise[int] = Promise()
    error = LookupError("gone")
    waiting = [asyncio.create_task(value_of(promise)) for _ in range(2)]
    await asyncio.sleep(0)
    promise.reject(error)
    assert await asyncio.gather(*waiting, return_exceptions=True) == [error, error]
    lengths = set()
    for _ in range(3):
        with pytest.raises(LookupError):
            await promise
        lengths.add(len(traceback.extract_tb(error.__traceback__)))
    assert len(lengths) == 1
    assert promise.exception() is error


async def test_an_error_that_nobody_looks_at_is_not_logged() -> None:
    """K6: the fixture of async tests fails on anything given to the loop's exception handler."""
    promise: Promise[int] = Promise()
    promise.reject(LookupError("nobody cares"))
    del promise
    gc.collect()


async def test_cancelling_one_that_waits_leaves_the_others_alone() -> None:
    promise: Promise[int] = Promise()
    first, second = (asyncio.create_task(value_of(promise)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert not second.done()
    promise.resolve(1)
    assert await second == 1


async def test_a_cancellation_in_the_turn_of_the_settling_wins_and_harms_nobody() -> None:
    promise: Promise[int] = Promise()
    first, second = (asyncio.create_task(value_of(promise)) for _ in range(2))
    await asyncio.sleep(0)
    promise.resolve(1)
    first.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert second.result() == 1


async def test_it_may_settle_after_the_one_that_waited_was_cancelled_in_the_same_turn() -> None:
    promise: Promise[int] = Promise()
    task = asyncio.create_task(value_of(promise))
    await asyncio.sleep(0)
    task.cancel()
    promise.resolve(1)
    await asyncio.wait([task])
    assert task.cancelled()
    assert await promise == 1


async def test_timeouts_leave_it_usable() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await promise
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(value_of(promise), 0.001)
    promise.resolve(3)
    assert await asyncio.wait_for(value_of(promise), 1) == 3


async def test_callbacks_run_soon_after_it_settles_or_has() -> None:
    promise: Promise[int] = Promise()
    called: list[str] = []
    promise.add_done_callback(lambda _: called.append("first"))
    promise.add_done_callback(lambda _: called.append("second"))
    promise.resolve(1)
    assert called == []  # whoever settles it is not interrupted
    await asyncio.sleep(0)
    assert called == ["first", "second"]
    promise.add_done_callback(lambda _: called.append("third"))
    await asyncio.sleep(0)
    assert called == ["first", "second", "third"]


def test_asking_too_early_is_an_error() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(asyncio.InvalidStateError, match="await it"):
        promise.result()
    with pytest.raises(asyncio.InvalidStateError, match="await it"):
        promise.exception()


@pytest.mark.parametrize("first", ["resolve", "reject"])
def test_it_settles_once(first: str) -> None:
    promise: Promise[object] = Promise()
    getattr(promise, first)(LookupError())
    with pytest.raises(AssertionError):
        promise.resolve(2)
    with pytest.raises(AssertionError):
        promise.reject(LookupError())


def test_none_is_a_value() -> None:
    promise: Promise[None] = Promise()
    promise.resolve(None)
    assert promise.done()


def test_a_factory_is_called_when_the_value_is_first_asked_for_and_only_then() -> None:
    promise: Promise[list[int]] = Promise()
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([1])
        return made[-1]

    promise.resolve_with(make)
    assert promise.done()
    assert promise.exception() is None
    assert made == []
    assert promise.result() is promise.result()
    assert made == [[1]]


def test_its_text_tells_its_state() -> None:
    promise: Promise[int] = Promise()
    assert repr(promise) == "<Promise pending>"
    promise.resolve(1)
    assert repr(promise) == "<Promise resolved 1>"
    failed: Promise[int] = Promise()
    failed.reject(LookupError("x"))
    assert repr(failed) == "<Promise rejected LookupError('x')>"


async def value_of(promise: Promise[int]) -> int:
    return await promise


async def test_it_tells_whether_somebody_waits() -> None:
    promise: Promise[int] = Promise()
    seen = [promise.is_awaited]
    task = asyncio.create_task(value_of(promise))
    await asyncio.sleep(0)
    seen.append(promise.is_awaited)
    task.cancel()
    await asyncio.wait([task])
    seen.append(promise.is_awaited)
    assert seen == [False, True, False]


async def test_a_callback_that_was_removed_is_not_called() -> None:
    promise: Promise[int] = Promise()
    called: list[object] = []
    promise.remove_done_callback(called.append)
    promise.add_done_callback(called.append)
    promise.remove_done_callback(called.append)
    promise.remove_done_callback(print)
    promise.resolve(1)
    promise.remove_done_callback(called.append)
    await asyncio.sleep(0)
    assert called == []
