"""A parking place for one task that is resumed *in* the event that it waited for.

``asyncio.Future.set_result`` only schedules the waiting task, which costs one more turn of the event
loop (and on uvloop one more ``epoll_wait``) for every read. A ``Waiter`` is what the task machinery
calls a future-compatible object: the task hands it its wake-up callback, and ``wake()`` runs that callback
at once when the caller is the event loop itself. That is where a raw ``asyncio.Protocol`` runs its
code too, which is why reading through a socket costs no more than a Protocol does.

Rules that must not be broken:

1. ``wake()`` resumes directly only when no task is running; a task must never be stepped inside another.
2. The parked callback is taken exactly once, whether by ``wake()``, ``fail()`` or ``cancel()``.
3. State belongs to the owner and is changed *before* ``wake()``: when it returns, user code has run. Whoever is not
   done with changing state calls ``wake_soon()``.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, current_task, get_running_loop
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

__all__ = ["Waiter"]


class Waiter:
    """Lets one task at a time wait; reusable, so that waiting allocates nothing.

    The attributes ``_asyncio_future_blocking``, ``get_loop``, ``add_done_callback``, ``result`` and
    ``cancel`` are the protocol between ``asyncio.Task`` and anything it waits for (CPython
    ``Modules/_asynciomodule.c``, *task_step_handle_result_impl*).
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_error", "_loop", "_waiting")

    def __init__(self) -> None:
        self._asyncio_future_blocking = False
        self._loop: AbstractEventLoop | None = None
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self._waiting = False

    @property
    def is_waiting(self) -> bool:
        """True from the moment a task parks here until it runs again."""
        return self._waiting

    def __await__(self) -> Generator[Waiter, None, None]:
        """Park the running task until ``wake()``.

        Cancellation: safe; the waiter can be used again.
        """
        if self._loop is None:
            self._loop = get_running_loop()
        self._asyncio_future_blocking = True
        self._waiting = True
        try:
            yield self
        finally:
            self._waiting = False

    def wake(self) -> None:
        """Resume the parked task, if there is one; in this very call when the event loop is the caller."""
        callback = self._callback
        if callback is None:
            return
        if current_task(self._loop) is None:
            self._resume(callback)
        else:
            self._resume_soon(callback)

    def wake_soon(self) -> None:
        """Resume the parked task from the event loop: for callers that are in the middle of a change of state."""
        if self._callback is not None:
            self._resume_soon(self._callback)

    # -- what asyncio.Task calls ----------------------------------------------------------------

    def get_loop(self) -> AbstractEventLoop | None:
        """Return the loop of the parked task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context) -> None:
        """Take the task's wake-up."""
        self._callback = callback
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        """Wake the task with ``CancelledError``; called by ``Task.cancel()``."""
        callback = self._callback
        if callback is None or self._error is not None:
            return False
        self._error = CancelledError() if msg is None else CancelledError(msg)
        self._resume_soon(callback)
        return True

    def result(self) -> None:
        """Return to the task what it was woken with."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame: a cycle through the task's frames would keep sockets that nobody uses.
                del error

    # -- resuming --------------------------------------------------------------------------------

    def _resume(self, callback: Callable[[Any], object]) -> None:
        if self._callback is not callback:  # somebody else was quicker (rule 2)
            return
        context, self._callback, self._context = self._context, None, None
        assert context is not None
        try:
            context.run(callback, self)
        except (KeyboardInterrupt, SystemExit) as exc:
            # A transport callback may swallow it (uvloop reports it as a broken connection);
            # from a plain loop callback it ends the loop, as it would from any task.
            assert self._loop is not None
            self._loop.call_soon(_raise, exc)

    def _resume_soon(self, callback: Callable[[Any], object]) -> None:
        assert self._loop is not None
        self._loop.call_soon(self._resume, callback)


def _raise(exc: BaseException) -> None:
    raise exc
