"""``ctx``: the request a handler works for, and the work that may outlive its answer.

Every request, scheduled event and WebSocket has one ``RequestContext``. The runtime sets ``current_context`` before it
calls the handler, so that code far away from it (a dialer, a log handler, ``workers.wait_until``) knows on whose behalf
it runs; tasks that the handler starts inherit it. Imports nothing heavy: everybody may import this module.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]

__all__ = [
    "Context",
    "RequestContext",
    "RequestHost",
    "connecting_via",
    "current_context",
    "current_request_id",
    "waitUntil",
    "wait_until",
]


class Context(Protocol):
    """What a handler may do with its ``ctx``."""

    def wait_until(self, awaitable: Awaitable[object], /) -> None:
        """Let ``awaitable`` go on after the response was sent."""

    def waitUntil(self, awaitable: Awaitable[object], /) -> None:  # noqa: N802 - Cloudflare's spelling
        """Let ``awaitable`` go on after the response was sent."""


class RequestHost(Protocol):
    """What a context needs from the runtime."""

    def name_request(self, number: int) -> str:
        """Return the id of the request with this number."""

    def keep(self, awaitable: Awaitable[object], context: RequestContext) -> None:
        """Run ``awaitable`` to its end, whatever becomes of the request; callable from any thread."""

    def before_end(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Await ``callback()`` when the worker is drained."""


class RequestContext:
    """The ``ctx`` of one request or event.

    Args:
        host: the runtime.
        scope: the ASGI scope; ``{}`` for a scheduled event.
        number: counts the requests and events of this worker.
        started: on the monotonic clock, in seconds.
    """

    # One is made for every request: what most requests never change stands in the class.
    _request_id: str | None = None
    _subject: str | None = None

    websocket: tuple[Any, Any, Any] | None = None
    """The connection of a WebSocket handshake (scope, receive, send), for ``asgi.websocket``."""

    def __init__(self, host: RequestHost, scope: Scope, number: int, started: float = 0.0) -> None:
        self._host = host
        self._number = number
        self.scope = scope
        self.started = started

    @property
    def host(self) -> RequestHost:
        """The runtime that serves this request."""
        return self._host

    @property
    def request_id(self) -> str:
        """Unique among the workers of this machine; made when it is first asked for."""
        if self._request_id is None:
            self._request_id = self._host.name_request(self._number)
        return self._request_id

    @property
    def method(self) -> str:
        """``"GET"`` and so on; empty for a scheduled event."""
        method: str = self.scope.get("method", "GET" if self.scope else "")
        return method

    @property
    def path(self) -> str:
        """The path as it was sent, with the query string; empty for a scheduled event."""
        scope = self.scope
        raw: bytes | None = scope.get("raw_path")
        path = raw.decode("latin-1") if raw is not None else quote(scope.get("path", ""))
        query: bytes = scope.get("query_string", b"")
        return f"{path}?{query.decode('latin-1')}" if query else path

    @property
    def subject(self) -> str:
        """What is being done, for a person: ``"GET /customers"``, ``"cron */5 * * * *"``."""
        return self._subject if self._subject is not None else f"{self.method} {self.path}"

    @subject.setter
    def subject(self, value: str) -> None:
        self._subject = value

    def wait_until(self, awaitable: Awaitable[object], /) -> None:
        """Let ``awaitable`` go on after the response was sent; it starts at once.

        Its failure is reported with this request. It is not cancelled when the client leaves; when the worker is
        stopped, it is waited for, up to ``serve.drain_timeout_s``.

        Args:
            awaitable: a coroutine, a task or a future.

        Raises:
            TypeError: it cannot be awaited.
        """
        if not hasattr(awaitable, "__await__"):
            hint = ": call it" if callable(awaitable) else ""
            raise TypeError(f"wait_until() needs an awaitable, not {type(awaitable).__name__}{hint}")
        self._host.keep(awaitable, self)

    waitUntil = wait_until  # noqa: N815 - Cloudflare's spelling

    def pass_through_on_exception(self) -> None:
        """Do nothing: there is no origin server behind a worker of this runtime that could answer instead."""

    passThroughOnException = pass_through_on_exception  # noqa: N815 - Cloudflare's spelling

    def __repr__(self) -> str:
        return f"<RequestContext {self.request_id}: {self.subject}>"


current_context: ContextVar[RequestContext | None] = ContextVar("longshore.workers.context", default=None)
"""The request or event on whose behalf this code runs; None outside."""

connecting_via: ContextVar[str] = ContextVar("longshore.workers.connecting_via", default="connect()")
"""What a connection that is being made was asked for with, for the log of connections: ``fetch()`` says its name."""


def current_request_id() -> str:
    """Return the id of the request on whose behalf this code runs, or ``""``."""
    context = current_context.get()
    return "" if context is None else context.request_id


def wait_until(awaitable: Awaitable[object], /) -> None:
    """Let ``awaitable`` go on after the response of the current request was sent; see ``RequestContext.wait_until``.

    Args:
        awaitable: a coroutine, a task or a future.

    Raises:
        RuntimeError: no handler is running.
        TypeError: it cannot be awaited.
    """
    context = current_context.get()
    if context is None:
        close = getattr(awaitable, "close", None)
        if close is not None:
            close()  # a coroutine that is never awaited would warn beside the error
        raise RuntimeError("wait_until() was called outside a handler: there is no request whose work it could be")
    context.wait_until(awaitable)


waitUntil = wait_until  # noqa: N816 - Cloudflare's spelling
