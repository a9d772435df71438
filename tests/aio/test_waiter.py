"""Tests of ``longshore.aio.waiter``: what tasks, timeouts and task groups may expect of it, on both loops."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import pytest

from longshore.aio.waiter import Waiter
from tests.loops import loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable

Log = list[str]


async def parked(waiter: Waiter, log: Log, name: str = "woken") -> None:
    """Wait once and write it down."""
    await waiter
    log.append(name)


async def start(waiter: Waiter, log: Log) -> asyncio.Task[None]:
    """Start a task and let it park."""
    task = asyncio.create_task(parked(waiter, log))
    await asyncio.sleep(0)
    assert waiter.is_waiting
    return task


async def from_the_loop(function: Callable[[], object]) -> None:
    """Call the function from the event loop itself, and come back after it."""
    done = asyncio.get_running_loop().create_future()

    def call() -> None:
        function()
        done.set_result(None)

    asyncio.get_running_loop().call_soon(call)
    await done


async def test_the_event_loop_resumes_the_task_in_the_same_call() -> None:
    waiter, log = Waiter(), Log()
    task = await start(waiter, log)

    def call() -> None:
        log.append("before")
        waiter.wake()
        log.append("after")

    await from_the_loop(call)
    assert log == ["before", "woken", "after"]
    assert task.done()
    assert not waiter.is_waiting


async def test_another_task_only_schedules_it() -> None:
    """A task must never be stepped inside another."""
    waiter, log = Waiter(), Log()
    task = await start(waiter, log)
    waiter.wake()
    assert log == []
    assert waiter.is_waiting
    await task
    assert log == ["woken"]


async def test_waking_twice_resumes_once() -> None:
    waiter, log = Waiter(), Log()

    async def twice() -> None:
        await waiter
        log.append("first")
        await waiter
        log.append("second")

    task = asyncio.create_task(twice())
    await asyncio.sleep(0)
    waiter.wake()
    waiter.wake()
    for _ in range(3):
        await asyncio.sleep(0)
    assert log == ["first"]
    waiter.wake()
    await task


async def test_a_scheduled_wake_up_is_void_when_the_loop_was_quicker() -> None:
    waiter, log = Waiter(), Log()

    async def twice() -> None:
        await waiter
        log.append("first")
        await waiter
        log.append("second")

    task = asyncio.create_task(twice())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(waiter.wake)  # runs before what the next line schedules
    waiter.wake()
    for _ in range(3):
        await asyncio.sleep(0)
    assert log == ["first"]
    await from_the_loop(waiter.wake)
    await task


async def test_waking_nobody_does_nothing() -> None:
    waiter = Waiter()
    waiter.wake()
    assert not waiter.is_waiting
    assert waiter.cancel() is False


async def test_it_can_be_used_again_and_again() -> None:
    waiter, log = Waiter(), Log()
    for _ in range(3):
        task = await start(waiter, log)
        await from_the_loop(waiter.wake)
        await task
    assert len(log) == 3


async def test_cancelling_the_task_raises_in_it_and_leaves_the_waiter_usable() -> None:
    waiter, log = Waiter(), Log()
    task = await start(waiter, log)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert log == []
    assert not waiter.is_waiting
    second = await start(waiter, log)
    await from_the_loop(waiter.wake)
    await second


async def test_cancelling_twice_raises_once() -> None:
    waiter = Waiter()
    caught = Log()

    async def stubborn() -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            caught.append("cancelled")
        await asyncio.sleep(0)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    task.cancel()
    await asyncio.wait([task])
    assert caught == ["cancelled"]


@pytest.mark.parametrize("order", ["cancel first", "wake first"])
async def test_cancelling_wins_over_waking_in_the_same_turn(order: str) -> None:
    waiter, log = Waiter(), Log()
    task = await start(waiter, log)
    if order == "wake first":
        waiter.wake()
        task.cancel()
    else:
        task.cancel()
        waiter.wake()
    await asyncio.wait([task])
    assert task.cancelled()
    assert log == []
    second = await start(waiter, log)  # nothing of the race is left in the waiter
    await from_the_loop(waiter.wake)
    await second
    assert log == ["woken"]


async def test_a_wake_up_from_the_loop_delivers_a_cancellation_that_is_on_its_way() -> None:
    waiter, log = Waiter(), Log()
    task = await start(waiter, log)

    def both() -> None:
        task.cancel()
        waiter.wake()

    await from_the_loop(both)
    assert task.cancelled()
    assert log == []


async def test_a_task_cancelled_before_it_parks_never_waits() -> None:
    waiter, log = Waiter(), Log()
    task = asyncio.create_task(parked(waiter, log))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not waiter.is_waiting


async def test_timeouts_end_the_waiting() -> None:
    waiter = Waiter()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await waiter
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(parked(waiter, []), 0.001)
    assert not waiter.is_waiting


async def test_a_task_group_cancels_it_when_a_sibling_fails() -> None:
    waiter, log = Waiter(), Log()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def group_of_both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(parked(waiter, log))
            group.create_task(fails())

    with pytest.raises(BaseExceptionGroup) as caught:
        await group_of_both()
    assert caught.value.subgroup(LookupError) is not None
    assert not waiter.is_waiting
    assert log == []


async def test_shield_and_gather_work_over_it() -> None:
    waiter, log = Waiter(), Log()
    inner = asyncio.create_task(parked(waiter, log))
    outer = asyncio.create_task(wait_shielded(inner))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([outer])
    assert not inner.done()
    waiter.wake()
    await asyncio.gather(inner)
    assert log == ["woken"]


async def wait_shielded(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


async def test_the_tasks_own_context_is_kept() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    waiter, log = Waiter(), Log()

    async def wait() -> None:
        variable.set("task")
        await waiter
        log.append(variable.get())
        variable.set("changed")
        await waiter
        log.append(variable.get())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    variable.set("main")
    await from_the_loop(waiter.wake)
    await from_the_loop(waiter.wake)
    await task
    assert log == ["task", "changed"]
    assert variable.get() == "main"


async def test_the_current_task_is_right_when_it_is_resumed_directly() -> None:
    waiter = Waiter()
    seen: list[asyncio.Task[None] | None] = []

    async def wait() -> None:
        await waiter
        seen.append(asyncio.current_task())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await from_the_loop(waiter.wake)
    assert seen == [task]


async def test_an_error_in_the_resumed_task_stays_in_the_task() -> None:
    waiter = Waiter()

    async def fails() -> None:
        await waiter
        raise LookupError("its own")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await from_the_loop(waiter.wake)
    with pytest.raises(LookupError, match="its own"):
        await task


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_the_resumed_task_ends_the_loop(loop_name: str, error: type[BaseException]) -> None:
    """As it does from any task, even when the wake-up comes from inside a transport's callback."""
    loop = loop_factory(loop_name)()
    waiter = Waiter()

    async def fails() -> None:
        await waiter
        raise error

    async def main() -> None:
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(waiter.wake)
        await asyncio.wait([task])
        await asyncio.Event().wait()

    main_task = loop.create_task(main())
    try:
        with pytest.raises(error):
            loop.run_until_complete(main_task)
        main_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(main_task)
    finally:
        loop.close()


async def test_it_works_with_tasks_written_in_python() -> None:
    """The protocol between tasks and futures is the same in the C and in the Python implementation."""
    waiter, log = Waiter(), Log()
    task = asyncio.tasks._PyTask(parked(waiter, log))  # type: ignore[attr-defined]  # exists for tests like this
    for _ in range(2):
        await asyncio.sleep(0)
    assert waiter.is_waiting
    await from_the_loop(waiter.wake)
    await task
    second = asyncio.tasks._PyTask(parked(waiter, log))  # type: ignore[attr-defined]  # as above
    for _ in range(2):
        await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert log == ["woken"]
