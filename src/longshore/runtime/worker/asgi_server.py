"""Hands requests to an ASGI application, unchanged but for ``scope["env"]``.

What is added: a context (``workers.wait_until`` works inside), the report of an exception, the error page. What is not
touched: how the application learns that its client has left (``receive()``), and its lifespan.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.failures import answer
from longshore.runtime.worker.flight import End, Unwatched
from longshore.runtime.worker.head import send_head
from longshore.runtime.worker.outcome import OK, finished, settle
from longshore.runtime.worker.plain_body import without_chunks
from longshore.runtime.worker.streaming import BODY, START
from longshore.workers._context import current_context
from longshore.workers._timed_receive import BodyTimeout, TimedReceive

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from longshore.runtime.worker.failures import Failures
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter
    from longshore.runtime.worker.work import Work

__all__ = ["AsgiServer"]

TEXT = b"text/plain; charset=utf-8"


class AsgiServer:
    """Calls the application.

    Args:
        application: ASGI 3.
        env: the bindings.
        work: where requests in flight are kept.
        failures: told of exceptions.
        reporter: told of each request, if anyone wants to know.
        is_dev: whether the page of a framework's own 500 is replaced by ours, which shows the exception.
    """

    def __init__(
        self, application: Any, env: Any, work: Work, failures: Failures, reporter: Reporter | None, *, is_dev: bool
    ) -> None:
        self._application = application
        self._env = env
        self._work = work
        self._failures = failures
        self._reporter = reporter
        self._is_dev = is_dev
        self._body_timeout_s = failures.body_timeout_s

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        flight = self._work.begin(scope, time.monotonic())
        flight.connection = scope.get("longshore.connection") or Unwatched()
        scope["env"] = self._env
        send = without_chunks(scope, send)
        relay = _Relay(flight, send, holds_errors=self._is_dev)
        if self._body_timeout_s:
            receive = _TimedRequest(receive, self._body_timeout_s, relay)
        token = current_context.set(flight)
        outcome = OK
        try:
            await self._application(scope, receive, relay.send)
            await relay.finish()
            relay.check_complete()
        except BaseException as exc:  # noqa: BLE001 - settle() knows which ones are not the application's
            outcome = await settle(flight, exc, send, self._failures)
        finally:
            current_context.reset(token)
            if not relay.is_complete and flight.connection.is_lost:
                flight.end = flight.end or End.CLIENT_LEFT
            self._work.end(flight)
            if self._reporter is not None:
                finished(flight, outcome, self._reporter)


class _Relay:
    """Notes the status on its way out.

    In development the head and the body of a 500 are held back until the application has returned: frameworks send one
    and raise the exception behind it, and the exception is what a developer wants to see.
    """

    __slots__ = ("_flight", "_held", "_holds_errors", "_is_cut", "_send", "is_complete")

    def __init__(self, flight: Flight, send: Any, *, holds_errors: bool) -> None:
        self._flight = flight
        self._send = send
        self._holds_errors = holds_errors
        self._held: list[dict[str, Any]] = []
        self._is_cut = False
        self.is_complete = False

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Pass a message on."""
        if self._is_cut:
            return _drop()
        if message["type"] == START:
            if self._holds_errors and message["status"] == 500:
                return self._hold(message)
            return send_head(self._flight, self._send, message)
        if self._held:
            return self._hold(message)
        if not message.get("more_body", False):
            self.is_complete = True
        sent: Awaitable[None] = self._send(message)
        return sent

    async def _hold(self, message: dict[str, Any]) -> None:
        self._held.append(message)
        if message["type"] == BODY and message.get("more_body", False):
            await self.finish()  # it streams: no page of an exception

    async def finish(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, []
        for message in held:
            if message["type"] == START:
                self._holds_errors = False
                await send_head(self._flight, self._send, message)
                continue
            if not message.get("more_body", False):
                self.is_complete = True
            await self._send(message)

    async def time_out(self) -> None:
        """Answer a client that has stopped in mid-body, unless the response has begun; drop what comes from now on.

        Here and not by ``settle()``: frameworks make a 500 of an error of ``receive()``.
        """
        if not self._flight.status and not self._is_cut:
            self._is_cut = self.is_complete = True
            self._held.clear()
            await answer(self._flight, self._send, 408, TEXT, b"Request Timeout\n", is_last=True)

    def check_complete(self) -> None:
        """Judge what an application that has returned leaves behind.

        Raises:
            RuntimeError: it has not answered, or not to the end, though its client is there.
        """
        if self.is_complete or self._flight.connection.is_lost:
            return
        if not self._flight.status:
            raise RuntimeError("the application did not generate a response")
        raise RuntimeError("the application returned without completing its response")


class _TimedRequest(TimedReceive):
    """The application's ``receive()``."""

    __slots__ = ("_relay",)

    def __init__(self, receive: Any, timeout_s: float, relay: _Relay) -> None:
        super().__init__(receive, timeout_s)
        self._relay = relay

    async def __call__(self) -> Any:
        try:
            return await super().__call__()
        except BodyTimeout:
            await self._relay.time_out()
            raise


async def _drop() -> None:
    pass
