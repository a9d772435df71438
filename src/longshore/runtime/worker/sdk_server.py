"""Serves requests with the ``fetch`` handler of a worker written with the SDK.

This is the hot path: for a handler that answers with text, a request costs its context, the ``Request``, the handler
and two calls of ``send()``. Nothing is parsed, decoded, formatted or inspected that nobody asks for.
"""

from __future__ import annotations

import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.entry import missing_handler
from longshore.runtime.worker.head import send_head
from longshore.runtime.worker.outcome import OK, finished, settle
from longshore.runtime.worker.plain_body import without_chunks
from longshore.runtime.worker.returned import response_of
from longshore.runtime.worker.streaming import BODY, START, send_stream
from longshore.runtime.worker.watch import Watch
from longshore.runtime.worker.whole_response import keep_date, send_whole
from longshore.workers._context import current_context
from longshore.workers._request import incoming_request
from longshore.workers._response import FetchResponse
from longshore.workers._response_wire import without_body

if TYPE_CHECKING:
    from contextvars import Token

    from longshore.runtime.worker.entry import Entry
    from longshore.runtime.worker.failures import Failures
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter
    from longshore.runtime.worker.work import Work
    from longshore.workers._context import RequestContext

__all__ = ["SdkServer"]


class SdkServer:
    """Calls the ``fetch`` handler.

    Args:
        entry: of class or module style.
        env: the bindings.
        work: where requests in flight are kept.
        failures: told of exceptions.
        reporter: told of each request, if anyone wants to know.
    """

    def __init__(self, entry: Entry, env: Any, work: Work, failures: Failures, reporter: Reporter | None) -> None:
        self._entry = entry
        self._fetch = entry.fetch or self._no_fetch
        self._env = env
        self._work = work
        self._failures = failures
        self._reporter = reporter
        self._grace_s = failures.disconnect_grace_s
        self._body_timeout_s = failures.body_timeout_s

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        flight = self._work.begin(scope, time.monotonic())
        connection = scope.get("longshore.connection")
        if connection is None:
            connection = Watch(scope, receive)
            receive = connection.receive
        token = self._enter(flight, connection)
        is_current, outcome = True, OK
        try:
            answer = self._fetch(incoming_request(scope, receive, self._body_timeout_s), self._env, flight)
            if answer.__class__ is CoroutineType:
                answer = await answer
            if not isinstance(answer, FetchResponse):
                answer = await response_of(answer, self._entry)
            status, headers, payload = answer.wire()
            if payload.__class__ is not bytes:
                keep_date(send, headers)
                await send_stream(flight, without_chunks(scope, send), status, headers, payload)
                return
            if not payload:
                headers = without_body(scope["method"], status, headers)
            # Now, and not at the end: the server sets its timer for the next request while it sends, and a timer keeps
            # the context it is set in.
            current_context.reset(token)
            is_current = False
            flight.status = status
            if not send_whole(send, status, headers, payload):
                keep_date(send, headers)
                await send_head(flight, send, {"type": START, "status": status, "headers": headers})
                await send({"type": BODY, "body": payload})
        except BaseException as exc:  # noqa: BLE001 - settle() knows which ones are not the handler's
            outcome = await settle(flight, exc, send, self._failures)
        finally:
            if is_current:
                # Else the task would hold its context, the context this flight, and the flight its task.
                current_context.reset(token)
            self._leave(flight, outcome)

    def _enter(self, flight: Flight, connection: Any) -> Token[RequestContext | None]:
        flight.connection = connection
        if self._grace_s:
            flight.grace_s = self._grace_s
        connection.on_lost = flight.on_client_lost
        if connection.is_lost:
            flight.on_client_lost()
        return current_context.set(flight)

    def _leave(self, flight: Flight, outcome: str) -> None:
        connection = flight.connection
        connection.on_lost = None
        if isinstance(connection, Watch):
            connection.stop()
        self._work.end(flight)
        if self._reporter is not None:
            finished(flight, outcome, self._reporter)

    def _no_fetch(self, _request: Any, _env: Any, _ctx: Any) -> Any:
        raise missing_handler(self._entry, "fetch")
