"""Cancellation sweep: run something again and again, cancelled at its 1st, 2nd, … suspension, until it completes.

::

    async def read(attempt: Attempt) -> None:
        async with plain() as (socket, peer):
            await attempt.run(socket.readable.read(), meanwhile=peer.send(b"hello"))
            assert ...  # what must be true whether it was cancelled or not

    await sweep(read, "at once")

A *suspension* is a moment at which the coroutine gives control to the event loop. There are three ways to be
unlucky with a cancellation there, see ``MODES``. After every attempt the sweep itself checks that no task and no
socket is left.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from tests.loops import SETTLE_TURNS, describe_socket, open_sockets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

__all__ = ["MODES", "Attempt", "sweep"]

T = TypeVar("T")

MODES: Final = ("at once", "next turn", "with the result")
"""The task is cancelled the moment it parks; or one turn of the loop later; or in the very turn in which
what it waits for happens, when the result is there and the task has not run yet."""

MAX_SUSPENSIONS: Final = 200


class Attempt:
    """One run of a play, with the number of the suspension at which its subject is cancelled."""

    def __init__(self, number: int, mode: str) -> None:
        self.number = number
        self.mode = mode
        self.was_cancelled = False
        """Whether the subject came to that suspension, and was cancelled there."""

    async def run(self, subject: Coroutine[Any, Any, T], meanwhile: Awaitable[object] | None = None) -> T | None:
        """Run the subject and cancel it; return its result, or None when it was cancelled.

        Args:
            subject: what is swept.
            meanwhile: what the rest of the world does; it begins when the subject first waits.

        Raises:
            AssertionError: the cancellation did not come out of the subject.
        """
        task = asyncio.create_task(_counted(subject, self), name="the subject of the sweep")
        world = None if meanwhile is None else asyncio.ensure_future(_after_a_turn(meanwhile))
        await asyncio.wait([task])
        if world is not None:
            await world
        if task.cancelled():
            assert self.was_cancelled, "it was cancelled, but not by the sweep"
            return None
        result = task.result()
        # In the third mode the loop may resume the task before the cancellation is due: then it did not happen.
        assert not self.was_cancelled or task.cancelling() == 0, "the cancellation was swallowed"
        return result


async def _after_a_turn(awaitable: Awaitable[object]) -> None:
    await asyncio.sleep(0)
    await awaitable


async def _counted(subject: Coroutine[Any, Any, T], attempt: Attempt) -> T:
    return await _Counted(subject, attempt)


class _Counted(Generic[T]):
    """Stands between a coroutine and its task, and counts what is yielded."""

    def __init__(self, subject: Coroutine[Any, Any, T], attempt: Attempt) -> None:
        self._subject = subject
        self._attempt = attempt

    def __await__(self) -> Generator[Any, Any, T]:
        count = 0
        send: Callable[[], Any] = lambda: self._subject.send(None)  # noqa: E731 - replaced in the loop
        while True:
            try:
                future = send()
            except StopIteration as exc:
                result: T = exc.value
                return result
            count += 1
            if count == self._attempt.number:
                self._strike(future)
            try:
                yield future
            except BaseException as exc:  # noqa: BLE001 - handed on to whom it is for
                error = exc
                send = lambda: self._subject.throw(error)  # noqa: B023, E731 - called before the next round
            else:
                send = lambda: self._subject.send(None)  # noqa: E731 - as above

    def _strike(self, future: Any) -> None:
        task = asyncio.current_task()
        assert task is not None

        def cancel(*_: object) -> None:
            if not task.done():
                self._attempt.was_cancelled = True
                task.cancel()

        if self._attempt.mode == "at once":
            cancel()
        elif self._attempt.mode == "with the result" and isinstance(future, asyncio.Future):
            future.add_done_callback(cancel)  # before the task's own, so it comes first
        else:
            asyncio.get_running_loop().call_soon(cancel)


async def sweep(play: Callable[[Attempt], Awaitable[None]], mode: str) -> int:
    """Play until the subject completes uncancelled; return at how many suspensions it was cancelled.

    Raises:
        AssertionError: what the play asserts, or a task or a socket was left behind.
    """
    for number in range(1, MAX_SUSPENSIONS):
        sockets, tasks = open_sockets(), asyncio.all_tasks()
        attempt = Attempt(number, mode)
        try:
            await play(attempt)
            await _settle(sockets, tasks)
        except Exception as exc:
            exc.add_note(f"cancelled at suspension {number}, {mode}")
            raise
        if not attempt.was_cancelled:
            return number - 1
    raise AssertionError(f"still not complete after {MAX_SUSPENSIONS} suspensions")


async def _settle(sockets: set[str], tasks: set[asyncio.Task[Any]]) -> None:
    for _ in range(SETTLE_TURNS):
        if asyncio.all_tasks() <= tasks and open_sockets() <= sockets:
            return
        await asyncio.sleep(0)
    left = [f"pending task: {task!r}" for task in asyncio.all_tasks() - tasks]
    left += [describe_socket(inode) for inode in open_sockets() - sockets]
    raise AssertionError("left behind: " + "; ".join(left))
