"""Tests of ``tests/loops.py``: what a test leaves behind fails it."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loops import Leftover, run_checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def test_an_async_test_runs_in_the_loop_it_is_named_for(loop_name: str) -> None:
    module = type(asyncio.get_running_loop()).__module__
    assert module.partition(".")[0] == loop_name


@pytest.mark.one_loop("asyncio")
async def test_one_loop_runs_on_that_loop_only(loop_name: str) -> None:
    assert loop_name == "asyncio"


@given(number=st.integers())
async def test_given_runs_in_the_loop_it_is_named_for(loop_name: str, number: int) -> None:
    module = type(asyncio.get_running_loop()).__module__
    assert module.partition(".")[0] == loop_name
    assert number == int(str(number))


class TestInAClass:
    """Methods are tests too."""

    async def test_a_method_runs_in_a_loop(self) -> None:
        assert asyncio.get_running_loop().is_running()


def test_what_is_finished_or_closed_is_not_left_behind(
    run_in_loop: Callable[[Callable[[], Awaitable[None]]], None],
) -> None:
    async def converse() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()

    run_in_loop(converse)


def test_a_pending_task_is_left_behind(loop_name: str) -> None:
    kept = []

    async def leave() -> None:
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))

    with pytest.raises(Leftover, match=r"pending task: .*forgotten"):
        run_checked(loop_name, leave)


def test_an_open_socket_is_left_behind(loop_name: str) -> None:
    kept = []

    async def leave() -> None:
        kept.append(socket.create_server(("127.0.0.1", 0)))

    with pytest.raises(Leftover, match="open socket, inode"):
        run_checked(loop_name, leave)
    kept.pop().close()


def test_an_error_that_nobody_retrieves_is_left_behind(loop_name: str) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def leave() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    with pytest.raises(Leftover, match=r"never retrieved .*LookupError\('lost'\)"):
        run_checked(loop_name, leave)


def test_an_error_in_a_callback_is_left_behind(loop_name: str) -> None:
    async def leave() -> None:
        asyncio.get_running_loop().call_soon(os.environ.__getitem__, "no such variable")

    with pytest.raises(Leftover, match=r"unhandled in the loop: .*KeyError"):
        run_checked(loop_name, leave)


def test_a_failure_keeps_its_exception_and_notes_the_rest(loop_name: str) -> None:
    kept = []

    async def fail() -> None:
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        run_checked(loop_name, fail)
    assert any("pending task" in note for note in caught.value.__notes__)


def test_a_test_that_hangs_ends_where_it_waits(loop_name: str) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_checked(loop_name, hang, limit_s=0.01)
