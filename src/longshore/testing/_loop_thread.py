"""An event loop in a thread of its own, so that a test that is not async can call what is.

The loop is uvloop where it is installed, as in production. Whatever is run takes the caller's context variables along
(``call_soon_threadsafe`` copies them), and an interrupt of the caller cancels it.

The end is that of a process, but in order: tasks are cancelled first, then the connections are broken that clients in
globals still hold. Neither asyncio nor uvloop does the latter when a loop is closed, so the loop keeps a list. From the
beginning of the end no new connection is made: a pool would replace those it loses.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["LoopThread"]

T = TypeVar("T")

CANCEL_LIMIT_S = 5.0
"""How long cancelled tasks may take for their ``finally`` blocks before their connections are broken."""

JOIN_LIMIT_S = 30.0
"""How long the thread may take to end: code that blocks cannot be cancelled."""

MOST_ROUNDS = 5
"""How often connections are broken; one round is enough, unless somebody was just making one."""

CLOSING_TURNS = 10
"""Turns of the loop in which a broken transport, with TLS above it, tells its protocol and is gone."""


class LoopThread:
    """Runs from its construction until ``close()``.

    Args:
        name: of the thread.
        loop: ``"uvloop"``, ``"asyncio"``, or None for uvloop where it is installed.

    Raises:
        ImportError: uvloop was asked for and is not installed.
    """

    def __init__(self, name: str, loop: str | None = None) -> None:
        self._loop = loop_factory(loop)()
        self._end = asyncio.Event()
        # Called in the loop when the tasks are gone.
        self.at_end: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        # The runner cancels what is left, closes async generators and ends the threads of the default executor.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_end())

    async def _until_end(self) -> None:
        await self._end.wait()
        loop: Any = asyncio.get_running_loop()
        loop.is_ending = True
        await cancel_tasks()
        for callback in self.at_end:
            callback()
        for _ in range(MOST_ROUNDS):
            if not (transports := loop.open_transports()):
                break
            for transport in transports:
                transport.abort()
            for _ in range(CLOSING_TURNS):
                await asyncio.sleep(0)
            await cancel_tasks()  # what a pool started to replace the connections it lost

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop.

        Raises:
            RuntimeError: the thread has ended.
        """
        if self._loop.is_closed():
            raise RuntimeError("the event loop of this worker is closed: use it inside its block, or its fixture")
        return self._loop

    @property
    def is_current(self) -> bool:
        """Whether the caller is in this thread."""
        return threading.current_thread() is self._thread

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Run a coroutine function in the loop and return its result.

        Args:
            function: called with ``arguments`` in the loop.
            *arguments: for ``function``.

        Raises:
            RuntimeError: the thread has ended, or it is the caller's own.
            BaseException: what the function raised.
        """
        if self.is_current:
            raise RuntimeError("called in the worker's own thread, which would wait for itself: call it from the test")
        loop = self.loop
        future = asyncio.run_coroutine_threadsafe(function(*arguments), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # no effect when the function raised; an interrupt of the caller ends it
            raise

    def close(self) -> None:
        """End the loop and the thread; idempotent.

        Raises:
            RuntimeError: it does not end.
        """
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(JOIN_LIMIT_S)
        if self._thread.is_alive():
            raise RuntimeError(
                f"the thread {self._thread.name!r} does not end: something blocks its event loop, or goes on in "
                "asyncio.to_thread()"
            )


async def cancel_tasks() -> None:
    """Cancel all tasks but this one, and wait until they have ended."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CANCEL_LIMIT_S)


def loop_factory(name: str | None) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of that name."""
    if name == "asyncio":
        return _keeping_transports(asyncio.SelectorEventLoop)
    try:
        import uvloop  # noqa: PLC0415 - the extra "uvloop"
    except ImportError:
        if name is None:
            return _keeping_transports(asyncio.SelectorEventLoop)
        raise
    return _keeping_transports(uvloop.Loop)


def _keeping_transports(base: Any) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return a class of loops that know the connections which were made through them."""

    class Loop(base):  # type: ignore[misc] # one of two classes
        def __init__(self) -> None:
            super().__init__()
            self.is_ending = False
            self._plain: WeakSet[Any] = WeakSet()
            self._tls: list[Any] = []  # uvloop's TLS transports cannot be referred to weakly

        def open_transports(self) -> list[Any]:
            return [transport for transport in (*self._tls, *self._plain) if not transport.is_closing()]

        def _keep(self, transport: Any) -> None:
            try:
                self._plain.add(transport)
            except TypeError:
                self._tls = [each for each in self._tls if not each.is_closing()]
                self._tls.append(transport)

        def _check(self) -> None:
            if self.is_ending:
                raise ConnectionAbortedError("the worker has ended: its event loop makes no new connection")

        async def create_connection(self, *arguments: Any, **keywords: Any) -> Any:
            self._check()
            made = await super().create_connection(*arguments, **keywords)
            self._keep(made[0])
            return made

        async def create_unix_connection(self, *arguments: Any, **keywords: Any) -> Any:
            self._check()
            made = await super().create_unix_connection(*arguments, **keywords)
            self._keep(made[0])
            return made

    Loop.__name__, Loop.__module__ = base.__name__, base.__module__  # libraries tell loops apart by them
    return Loop
