"""Tests of ``longshore.aio.tasks``."""

from __future__ import annotations

import asyncio
import gc
import weakref

from longshore.aio.tasks import spawn


async def test_it_returns_a_named_task_with_the_result() -> None:
    async def work() -> int:
        return 5

    task = spawn(work(), name="five")
    assert task.get_name() == "five"
    assert await task == 5


async def test_a_task_that_nobody_holds_lives_until_it_ends() -> None:
    gate = asyncio.Event()
    ended: list[bool] = []

    async def work() -> None:
        await gate.wait()
        ended.append(True)

    alive = weakref.ref(spawn(work(), name="worker"))
    await asyncio.sleep(0)
    gc.collect()
    assert alive() is not None
    gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert ended == [True]
    assert alive() is None


async def test_who_holds_the_task_hears_of_its_end() -> None:
    heard: list[asyncio.Task[int]] = []

    async def work() -> int:
        return 5

    task = spawn(work(), name="five", on_done=heard.append)
    await task
    await asyncio.sleep(0)
    assert heard == [task]
