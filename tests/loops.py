"""Run one coroutine in a fresh, watched event loop.

Theory of operation. ``run_checked(name, function)`` makes the loop, runs ``function`` in its main task, and
then asks what is left of it. Four things fail the test, even when its own assertions passed:

- a context given to the loop's exception handler ("exception was never retrieved", an error in a callback);
- a task that is still pending once the loop had a few empty turns to finish what was already on its way;
- a socket that is open now and was not open before, found by inode in ``/proc/self/fd`` (Linux only);
- the same again after the loop was closed.

A test that fails by itself keeps its own exception; what is left over is added to it as notes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["LOOP_NAMES", "Leftover", "loop_factory", "open_sockets", "run_checked"]

LOOP_NAMES = ("asyncio", "uvloop")

SETTLE_TURNS = 50
"""Empty turns of the loop at the end: closing a transport takes two, a cancelled task one per ``finally``."""

THREAD_GRACE_S = 5.0
"""Bound on waiting for a server thread of the test to close its side; without threads there is no wait."""


class Leftover(AssertionError):
    """The test left something behind; one line per thing."""

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__("\n  ".join(["the test left something behind:", *lines]))


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of that name."""
    if name == "uvloop":
        import uvloop  # noqa: PLC0415 - optional: absent on PyPy and Windows

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def open_sockets() -> set[str]:
    """Return the inodes of all sockets this process holds; empty where there is no /proc."""
    found: set[str] = set()
    try:
        descriptors = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for descriptor in descriptors:
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found


def describe_socket(inode: str) -> str:
    """Return the kernel's line about a socket, or its inode when the kernel has none."""
    for table in ("tcp", "tcp6", "udp", "udp6", "unix"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            if inode in line.split():
                return f"open socket, inode {inode}: {table} {line.strip()}"
    return f"open socket, inode {inode} (not connected)"


class Watch:
    """What the loop held at the start, and what it was told about unhandled errors since."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        self.sockets_before: set[str] = set()

    def start(self) -> None:
        """Take the first census; called inside the loop, whose own wake-up sockets belong to it."""
        self.sockets_before = open_sockets()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.contexts.append(context))

    async def settle(self) -> None:
        """Let callbacks that are already scheduled run, and the garbage collector speak up."""
        for _ in range(SETTLE_TURNS):
            if not self.pending_tasks() and not self.new_sockets():
                break
            await asyncio.sleep(0)
        if self.new_sockets():
            await self.wait_for_threads()
        gc.collect()
        await asyncio.sleep(0)

    async def wait_for_threads(self) -> None:
        """Give other threads of the test bounded time to close their sockets."""
        end = time.monotonic() + THREAD_GRACE_S
        while threading.active_count() > 1 and self.new_sockets() and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks besides the one that asks."""
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    def new_sockets(self) -> set[str]:
        """Return the inodes of the sockets opened since the start and still open."""
        return open_sockets() - self.sockets_before

    def lines(self) -> list[str]:
        """Describe everything that is left, inside the loop."""
        return [
            *(f"pending task: {task!r}" for task in self.pending_tasks()),
            *(describe_socket(inode) for inode in sorted(self.new_sockets())),
            *(describe_context(context) for context in self.contexts),
        ]


def describe_context(context: dict[str, Any]) -> str:
    """Return one line for a context of the loop's exception handler."""
    details = ", ".join(f"{key}={value!r}" for key, value in context.items() if key != "message")
    return f"unhandled in the loop: {context.get('message')} ({details})"


async def watched(function: Callable[[], Awaitable[None]], watch: Watch, limit_s: float) -> None:
    """Run the function, then raise what it left, or note it on the exception it ended with."""
    watch.start()
    try:
        # Not left to pytest-timeout's signal alone: its exception does not get out of uvloop's poll.
        async with asyncio.timeout(limit_s):
            await function()
    except BaseException as exc:
        await watch.settle()
        for line in watch.lines():
            exc.add_note(f"left behind: {line}")
        raise
    await watch.settle()
    if lines := watch.lines():
        raise Leftover(lines)


def run_checked(name: str, function: Callable[[], Awaitable[None]], *, limit_s: float = 50.0) -> None:
    """Run ``function`` in a fresh loop of that name and fail when it leaves anything behind.

    Args:
        name: ``"asyncio"`` or ``"uvloop"``.
        function: called without arguments, in the loop.
        limit_s: when the function is cancelled, so that a test that hangs shows where.

    Raises:
        TimeoutError: the limit ran out.
        Leftover: a task, a socket or an unhandled error is left.
    """
    before = open_sockets()
    watch = Watch()
    with asyncio.Runner(loop_factory=loop_factory(name)) as runner:
        runner.run(watched(function, watch, limit_s))
        watch.contexts.clear()
    gc.collect()
    late = [describe_socket(inode) for inode in sorted(open_sockets() - before)]
    late += [describe_context(context) for context in watch.contexts]
    if late:
        raise Leftover(late)
