"""Tests of ``longshore.net.hangup``: a reset on a socket that is not polled (rule K7)."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from longshore.net import hangup
from longshore.net.hangup import HangupWatcher
from tests.loops import loop_factory
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no epoll and nothing is watched")


class Bell:
    """Counts its calls and can be waited for."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.rung = 0
        self._then = then
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.rung += 1
        self._then()
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


async def pair() -> tuple[RawPeer, RawPeer]:
    with RawServer() as server:
        near = await RawPeer.connect(server.address)
        return near, await server.accept()


@pytest.mark.parametrize("with_end", [True, False])
async def test_an_end_is_told_if_asked_and_data_never(with_end: bool) -> None:
    near, far = await pair()
    loop, bell = asyncio.get_running_loop(), Bell()
    HangupWatcher.watch(loop, near.sock.fileno(), bell, with_end=with_end)
    await far.send(b"data")
    for _ in range(20):
        await asyncio.sleep(0)
    assert bell.rung == 0
    far.sock.shutdown(socket.SHUT_WR)
    if with_end:
        await bell.wait()
    else:
        for _ in range(20):
            await asyncio.sleep(0)
    assert bell.rung == with_end
    HangupWatcher.unwatch(loop, near.sock.fileno())
    near.close()
    far.close()


async def test_a_reset_is_told_once() -> None:
    near, far = await pair()
    loop, bell = asyncio.get_running_loop(), Bell()
    HangupWatcher.watch(loop, near.sock.fileno(), bell)
    far.abort()
    await bell.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert bell.rung == 1
    HangupWatcher.unwatch(loop, near.sock.fileno())
    near.close()


async def test_bytes_and_a_fin_wake_nobody() -> None:
    near, far = await pair()
    loop, bell = asyncio.get_running_loop(), Bell()
    HangupWatcher.watch(loop, near.sock.fileno(), bell)
    await far.send(b"bytes")
    await far.send_eof()
    for _ in range(20):
        await asyncio.sleep(0)
    assert bell.rung == 0
    HangupWatcher.unwatch(loop, near.sock.fileno())
    near.close()
    far.close()


async def test_who_is_forgotten_is_not_told() -> None:
    near, far = await pair()
    loop, bell = asyncio.get_running_loop(), Bell()
    HangupWatcher.watch(loop, near.sock.fileno(), bell)
    HangupWatcher.unwatch(loop, near.sock.fileno())
    HangupWatcher.unwatch(loop, near.sock.fileno())
    far.abort()
    for _ in range(20):
        await asyncio.sleep(0)
    assert bell.rung == 0
    near.close()


async def test_one_descriptor_watches_many_and_is_gone_with_the_last() -> None:
    loop = asyncio.get_running_loop()
    pairs = [await pair() for _ in range(20)]
    before = len(os.listdir("/proc/self/fd"))
    for near, _ in pairs:
        HangupWatcher.watch(loop, near.sock.fileno(), Bell())
    assert len(os.listdir("/proc/self/fd")) == before + 1
    for near, far in pairs:
        HangupWatcher.unwatch(loop, near.sock.fileno())
        near.close()
        far.close()
    assert loop not in hangup._watchers


async def test_a_callback_may_forget_another_that_is_due_too() -> None:
    loop = asyncio.get_running_loop()
    first, second = await pair(), await pair()
    nears = [first[0].sock.fileno(), second[0].sock.fileno()]
    bells = [Bell(lambda: forget(1)), Bell(lambda: forget(0))]

    def forget(index: int) -> None:
        HangupWatcher.unwatch(loop, nears[index])

    for fd, bell in zip(nears, bells, strict=True):
        HangupWatcher.watch(loop, fd, bell)
    first[1].abort()
    second[1].abort()
    _, pending = await asyncio.wait(
        [asyncio.create_task(bell.wait()) for bell in bells], return_when=asyncio.FIRST_COMPLETED
    )
    assert sum(bell.rung for bell in bells) == 1
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    for near, _ in (first, second):
        HangupWatcher.unwatch(loop, near.sock.fileno())
        near.close()


def test_a_loop_that_is_closed_already_is_no_obstacle(loop_name: str) -> None:
    loop = loop_factory(loop_name)()
    near, far = socket.socketpair()
    HangupWatcher.watch(loop, near.fileno(), lambda: None)
    loop.close()
    HangupWatcher.unwatch(loop, near.fileno())
    near.close()
    far.close()
    gc.collect()
