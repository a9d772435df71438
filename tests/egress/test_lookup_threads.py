"""Tests of ``longshore.egress.lookup_threads``."""

from __future__ import annotations

import asyncio
import threading

import pytest

from longshore.egress.lookup_threads import LookupThreads
from tests.loops import loop_factory


async def test_the_result_comes_from_a_daemon_thread_of_that_name() -> None:
    thread = await LookupThreads(1).run(threading.current_thread, name="look up x")
    assert (thread.name, thread.daemon) == ("look up x", True)


async def test_an_exception_comes_out() -> None:
    def fail() -> None:
        raise OSError(5, "broken")

    with pytest.raises(OSError, match="broken"):
        await LookupThreads(1).run(fail, name="fail")


async def test_no_more_threads_exist_than_may_and_one_that_nobody_waits_for_counts() -> None:
    threads, may_end, begun = LookupThreads(1), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(30)

    given_up = asyncio.ensure_future(threads.run(work, name="slow"))
    while not begun.is_set():
        await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert threads.is_full
    gone, kept = (asyncio.ensure_future(threads.run(threading.get_ident, name="next")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()  # while it waits for its turn
    may_end.set()
    assert await kept
    await asyncio.sleep(0)
    assert not threads.is_full


async def test_a_failure_that_nobody_waits_for_is_dropped() -> None:
    threads, may_fail = LookupThreads(1), threading.Event()

    def fail() -> None:
        may_fail.wait(30)
        raise OSError(5, "broken")

    given_up = asyncio.ensure_future(threads.run(fail, name="fail"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    may_fail.set()
    assert await threads.run(lambda: 1, name="after it") == 1


async def test_a_system_without_threads_is_an_error_and_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = LookupThreads(1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await threads.run(lambda: 1, name="none")
    assert await threads.run(lambda: 1, name="one") == 1


def test_a_thread_that_outlives_its_loop_ends_quietly(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    may_end, threads = threading.Event(), []

    def work() -> None:
        threads.append(threading.current_thread())
        may_end.wait(30)

    async def give_up() -> None:
        task = asyncio.ensure_future(LookupThreads(1).run(work, name="slow"))
        while not threads:
            await asyncio.sleep(0)
        task.cancel()

    with asyncio.Runner(loop_factory=loop_factory(loop_name)) as runner:
        runner.run(give_up())
    may_end.set()
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert not raised
