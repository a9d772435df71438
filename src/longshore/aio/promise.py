"""A value that will be known once, and that any number of tasks may wait for.

Unlike an ``asyncio.Future`` it is not cancelled when one of the tasks that await it is cancelled, and an
error that nobody looked at is not logged: ``opened`` and ``closed`` of a socket are there for whoever
wants them (WinterTC Sockets API: both promises are marked as handled).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Promise"]

T = TypeVar("T")
_PENDING = object()


class Promise(Generic[T]):
    """Settles exactly once, with a value or an error; awaitable any number of times, before or after."""

    __slots__ = ("_callbacks", "_error", "_factory", "_value", "_waiters", "was_raised")

    def __init__(self) -> None:
        self._value: object = _PENDING
        self._error: BaseException | None = None
        self.was_raised = False
        """True once somebody was given the error."""
        self._factory: Callable[[], T] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._callbacks: list[tuple[asyncio.AbstractEventLoop, Callable[[Promise[T]], object]]] | None = None

    def done(self) -> bool:
        """Return True once it is settled."""
        return self._value is not _PENDING or self._error is not None

    def result(self) -> T:
        """Return the value, or raise the error.

        Raises:
            asyncio.InvalidStateError: it is not settled yet.
        """
        if self._error is not None:
            self.was_raised = True
            # Without this the traceback would grow by a frame at every raise of the one exception.
            raise self._error.with_traceback(None)
        if self._value is _PENDING:
            raise asyncio.InvalidStateError("the promise is not settled yet; await it")
        if self._factory is not None:
            self._value, self._factory = self._factory(), None
        return cast("T", self._value)

    def exception(self) -> BaseException | None:
        """Return the error, or None when it settled with a value.

        Raises:
            asyncio.InvalidStateError: it is not settled yet.
        """
        if not self.done():
            raise asyncio.InvalidStateError("the promise is not settled yet; await it")
        self.was_raised = self._error is not None
        return self._error

    @property
    def is_awaited(self) -> bool:
        """True while a task waits for it."""
        return bool(self._waiters)

    def __await__(self) -> Generator[asyncio.Future[None], None, T]:
        """Wait until it is settled.

        Cancellation: safe; only the waiting task is affected.
        """
        if not self.done():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                yield from waiter
            finally:
                if self._waiters is not None:
                    self._waiters.remove(waiter)
        return self.result()

    def add_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """Let the running event loop call ``callback(self)`` soon after it settles, or soon when it already has.

        Raises:
            RuntimeError: no event loop is running.
        """
        loop = asyncio.get_running_loop()
        if self.done():
            loop.call_soon(callback, self)
        elif self._callbacks is None:
            self._callbacks = [(loop, callback)]
        else:
            self._callbacks.append((loop, callback))

    def remove_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """Forget ``callback``, if it is still waiting to be called."""
        self._callbacks = [entry for entry in self._callbacks or () if entry[1] != callback]

    # -- for the owner ---------------------------------------------------------------------------

    def resolve(self, value: T) -> None:
        """Settle with ``value``."""
        assert not self.done(), "a promise settles once"
        self._value = value
        self._notify()

    def resolve_with(self, factory: Callable[[], T]) -> None:
        """Settle with the value that ``factory()`` returns; it is called when somebody first asks for it."""
        assert not self.done(), "a promise settles once"
        self._value = None
        self._factory = factory
        self._notify()

    def reject(self, error: BaseException) -> None:
        """Settle with ``error``."""
        assert not self.done(), "a promise settles once"
        self._error = error
        self._notify()

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        callbacks, self._callbacks = self._callbacks, None
        for loop, callback in callbacks or ():
            if not loop.is_closed():
                loop.call_soon(callback, self)

    def __repr__(self) -> str:
        if not self.done():
            state = "pending"
        elif self._error is not None:
            state = f"rejected {self._error!r}"
        else:
            state = f"resolved {self.result()!r}"
        return f"<Promise {state}>"
