"""Promises and errors as code that was written for a JavaScript runtime knows them.

There an operation starts when it is called, whether or not somebody awaits it, and its promise may be awaited any
number of times. ``promised()`` makes that of a coroutine.
"""

from __future__ import annotations

import types
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from longshore.aio.promise import Promise
from longshore.aio.tasks import spawn
from longshore.aio.waiter import Waiter
from longshore.errors import (
    ClosedError,
    ConnectError,
    ConnectTimeout,
    PolicyDenied,
    ResetError,
    ResolveError,
    SocketError,
    TlsError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["JsError", "JsPromise", "derived", "js_error", "promised"]

T = TypeVar("T")
U = TypeVar("U")

CANNOT_CONNECT = "proxy request failed, cannot connect to the specified address"
TRY_FETCH = ". It looks like you might be trying to connect to a HTTP-based service — consider using fetch instead"
CONNECTION_LOST = "Network connection lost."


class JsError(Exception):
    """What JavaScript calls an *Error*; ``__cause__`` is ours, with the whole truth.

    Attributes:
        name: ``"Error"``, as in JavaScript.
        message: the sentence of Cloudflare's runtime.
    """

    name = "Error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class JsPromise(Promise[T]):
    """A ``Promise`` with the methods of JavaScript's; never logs that nobody looked at an error."""

    __slots__ = ("__weakref__", "_keep")

    def __init__(self, keep: object = None) -> None:
        super().__init__()
        self._keep = keep

    def then(
        self,
        on_fulfilled: Callable[[T], Any] | None = None,
        on_rejected: Callable[[BaseException], Any] | None = None,
        /,
    ) -> JsPromise[Any]:
        """Return a promise for what the one callback that applies returns."""
        return promised(_then(self, on_fulfilled, on_rejected))

    def catch(self, on_rejected: Callable[[BaseException], Any], /) -> JsPromise[Any]:
        """Return a promise for the value, or for what ``on_rejected`` makes of the error."""
        return self.then(None, on_rejected)

    def finally_(self, on_finally: Callable[[], Any], /) -> JsPromise[T]:
        """Return a promise that settles as this one does, once ``on_finally`` has run."""
        return promised(_finally(self, on_finally))


def promised(work: Coroutine[Any, Any, T], *, keep: object = None) -> JsPromise[T]:
    """Start ``work`` now, in this very call, and return the promise of its result.

    What does not have to wait is done when this returns, so calls take effect in the order in which they stand even
    when nobody awaits them.

    Args:
        work: must not ask for the task that it runs in before it first waits.
        keep: lives as long as the promise.
    """
    promise: JsPromise[T] = JsPromise(keep)
    try:
        waits_for = work.send(None)
    except StopIteration as exc:
        promise.resolve(exc.value)
    except Exception as exc:  # noqa: BLE001 - the promise carries whatever it is to whoever awaits it
        promise.reject(js_error(exc))
    else:
        spawn(_settle(promise, work, waits_for), name="longshore javascript promise")
    return promise


def derived(
    source: Promise[T], value_of: Callable[[T], U], error_of: Callable[[BaseException], BaseException], keep: object
) -> JsPromise[U]:
    """Return a promise that settles as ``source`` does, with ``value_of(value)`` or ``error_of(error)``.

    Args:
        source: knows nothing that would keep ``keep`` alive.
        value_of: makes the value.
        error_of: makes the error.
        keep: lives as long as the promise: the socket that somebody waits for.
    """
    promise: JsPromise[U] = JsPromise(keep)
    reference = weakref.ref(promise)

    def settle(settled: Promise[T]) -> None:
        target = reference()
        if target is None:
            return
        error = settled.exception()
        if error is not None:
            target.reject(error_of(error))
        else:
            target.resolve(value_of(settled.result()))

    source.add_done_callback(settle)
    return promise


def js_error(error: BaseException, *, closed: str | None = None) -> BaseException:
    """Return the error that Cloudflare's runtime would show, with ``error`` as its cause; others as they are.

    Args:
        error: what ended an operation.
        closed: the sentence for ``ClosedError``.
    """
    shown: BaseException
    if isinstance(error, UsageError):
        shown = TypeError(str(error))
    elif isinstance(error, ClosedError):
        shown = TypeError(closed or str(error))
    elif isinstance(error, (ConnectError, ConnectTimeout, ResolveError, PolicyDenied)) or _is_handshake(error):
        shown = JsError(CANNOT_CONNECT + (TRY_FETCH if _is_http(error) else ""))
    elif isinstance(error, (ResetError, TlsError)):
        shown = JsError(CONNECTION_LOST)
    elif isinstance(error, SocketError):
        shown = JsError(str(error))
    else:
        return error
    shown.__cause__ = error
    return shown


def _is_handshake(error: BaseException) -> bool:
    return isinstance(error, TlsError) and error.during == "tls"


def _is_http(error: BaseException) -> bool:
    address = getattr(error, "address", None) or ""
    return str(address).rpartition(":")[2] in ("80", "443")


async def _settle(promise: JsPromise[T], work: Coroutine[Any, Any, T], waits_for: object) -> None:
    try:
        promise.resolve(await _rest(work, waits_for))
    except Exception as exc:  # noqa: BLE001 - as in promised()
        promise.reject(js_error(exc))
    except BaseException as exc:
        promise.reject(exc)
        raise


@types.coroutine
def _rest(work: Coroutine[Any, Any, T], waits_for: object) -> Generator[object, Any, T]:
    """Go on with a coroutine that was started outside this task and waits."""
    try:
        if isinstance(waits_for, Waiter):
            # Nobody was parked there until now, so a wake-up would have been lost. Its owners look again at every turn.
            waits_for = work.send(None)
        while True:
            try:
                sent = yield waits_for
            except BaseException as exc:  # noqa: BLE001 - a cancellation belongs to the coroutine
                waits_for = work.throw(exc)
            else:
                waits_for = work.send(sent)
    except StopIteration as exc:
        return exc.value  # type: ignore[no-any-return]  # what a coroutine returns comes untyped


async def _then(
    promise: Promise[Any],
    on_fulfilled: Callable[[Any], Any] | None,
    on_rejected: Callable[[BaseException], Any] | None,
) -> Any:
    try:
        value = await promise
    except Exception as exc:
        if on_rejected is None:
            raise
        return await _value(on_rejected(exc))
    return value if on_fulfilled is None else await _value(on_fulfilled(value))


async def _finally(promise: Promise[T], on_finally: Callable[[], Any]) -> T:
    try:
        return await promise
    finally:
        await _value(on_finally())


async def _value(result: Any) -> Any:
    return await result if hasattr(result, "__await__") else result
