"""Serves a WebSocket: an ASGI application gets it as it is, a worker of the SDK as a request with ``Upgrade``.

The handler of an SDK worker passes it to an application with ``asgi.websocket(app, request, env)``, as in Cloudflare's
runtime; any other response is what the client's handshake is answered with.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.entry import missing_handler
from longshore.runtime.worker.flight import Unwatched
from longshore.runtime.worker.outcome import OK, finished, settle
from longshore.runtime.worker.returned import response_of
from longshore.runtime.worker.streaming import BODY, START, send_stream
from longshore.workers._context import current_context
from longshore.workers._request import incoming_request
from longshore.workers._response_wire import without_body

if TYPE_CHECKING:
    from longshore.runtime.worker.entry import Entry
    from longshore.runtime.worker.failures import Failures
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter
    from longshore.runtime.worker.work import Work

__all__ = ["WebSocketServer"]

INTERNAL_ERROR = 1011  # RFC 6455 §7.4.1
GOING_AWAY = 1001
SWITCHING_PROTOCOLS = 101
REFUSAL = "websocket.http.response"


class WebSocketServer:
    """Serves WebSockets.

    Args:
        entry: what the worker exports.
        env: the bindings.
        work: where what is in flight is kept.
        failures: told of exceptions.
        reporter: told of each WebSocket that has ended, if anyone wants to know.
    """

    def __init__(self, entry: Entry, env: Any, work: Work, failures: Failures, reporter: Reporter | None) -> None:
        self._entry = entry
        self._env = env
        self._work = work
        self._failures = failures
        self._reporter = reporter

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one WebSocket until it has ended."""
        flight = self._work.begin(scope, time.monotonic())
        flight.connection = Unwatched()
        scope["env"] = self._env
        line = _Line(flight, scope, send)
        token = current_context.set(flight)
        outcome = OK
        try:
            if self._entry.application is not None:
                await self._entry.application(scope, receive, line.send)
            else:
                await self._handshake(flight, line, receive)
        except BaseException as exc:  # noqa: BLE001 - settle() knows which ones are not the handler's
            outcome = await settle(flight, exc, line.refuse_with, self._failures, where="websocket")
            await line.close(GOING_AWAY if flight.end else INTERNAL_ERROR)
        finally:
            current_context.reset(token)
            self._work.end(flight)
            if self._reporter is not None:
                finished(flight, outcome, self._reporter)

    async def _handshake(self, flight: Flight, line: _Line, receive: Any) -> None:
        """Let the ``fetch`` handler decide."""
        flight.websocket = (flight.scope, receive, line.send)
        if self._entry.fetch is None:
            raise missing_handler(self._entry, "fetch")
        request = incoming_request(_as_http(flight.scope), _no_body)
        response = await response_of(self._entry.fetch(request, self._env, flight), self._entry)
        if line.is_accepted or response.status == SWITCHING_PROTOCOLS:
            return
        self._failures.warn(
            flight,
            f"{flight.path} was asked for a WebSocket, and the fetch handler answered with status {response.status}; "
            "to accept it, return await asgi.websocket(app, request, self.env)",
        )
        status, headers, payload = response.wire()
        if isinstance(payload, bytes):
            headers = headers if payload else without_body("GET", status, headers)
            await line.refuse_with({"type": START, "status": status, "headers": headers})
            await line.refuse_with({"type": BODY, "body": payload})
        else:
            await send_stream(flight, line.refuse_with, status, headers, payload)


class _Line:
    """The sending side of a WebSocket; knows how far it has come."""

    __slots__ = ("_can_refuse", "_flight", "_send", "is_accepted", "is_closed")

    def __init__(self, flight: Flight, scope: Any, send: Any) -> None:
        self._flight = flight
        self._send = send
        self._can_refuse = REFUSAL in (scope.get("extensions") or {})
        self.is_accepted = False
        self.is_closed = False

    async def send(self, message: dict[str, Any]) -> None:
        """Pass a message on."""
        kind = message["type"]
        if kind == "websocket.accept":
            self.is_accepted = True
            self._flight.status = SWITCHING_PROTOCOLS
        elif kind == "websocket.close":
            self.is_closed = True
            self._flight.status = self._flight.status or 403
        elif kind == f"{REFUSAL}.start":
            self.is_closed = True
            self._flight.status = message["status"]
        await self._send(message)

    async def refuse_with(self, message: dict[str, Any]) -> None:
        """Answer the handshake with a part of an HTTP response, or with a refusal where the server cannot do that."""
        if self._can_refuse:
            await self.send({**message, "type": message["type"].replace("http.response", REFUSAL)})
        elif not self.is_closed:
            await self.send({"type": "websocket.close", "code": 1000})

    async def close(self, code: int) -> None:
        """End it, unless it has ended."""
        if self.is_accepted and not self.is_closed:
            await self.send({"type": "websocket.close", "code": code})


def _as_http(scope: Any) -> dict[str, Any]:
    scheme = "https" if scope.get("scheme") in ("wss", "https") else "http"
    return {**scope, "type": "http", "method": "GET", "scheme": scheme}


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
