"""How a request ended, and who is told: shared by everything that serves requests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from longshore.errors import ResetError
from longshore.proto.ipc.messages import RequestFinished
from longshore.runtime.worker.failures import answer
from longshore.runtime.worker.flight import End
from longshore.workers._timed_receive import BodyTimeout

if TYPE_CHECKING:
    from longshore.runtime.worker.failures import Failures
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter

__all__ = ["CANCELED", "ERROR", "OK", "finished", "settle"]

OK: Final = "ok"
ERROR: Final = "error"
CANCELED: Final = "canceled"


async def settle(flight: Flight, exc: BaseException, send: Any, failures: Failures, where: str = "fetch") -> str:
    """Deal with what a handler or its response raised; return the outcome of the request.

    A cancellation of ours ends here. One that came from outside (the loop is being closed) goes on.

    Raises:
        BaseException: ``exc``, when it is not the handler's.
    """
    if isinstance(exc, (GeneratorExit, KeyboardInterrupt)):
        raise exc
    if isinstance(exc, asyncio.CancelledError):
        if flight.end is not None:
            while flight.task.uncancel():
                pass
            if flight.end is End.DRAINED and not flight.status:
                await answer(flight, send, 503, b"text/plain; charset=utf-8", b"Service Unavailable\n")
            return CANCELED
        if flight.task.cancelling():
            raise exc
    if _is_for_want_of_a_client(flight, exc):
        return CANCELED
    if isinstance(exc, BodyTimeout):
        return await _time_out(flight, send)
    if flight.end is End.CLIENT_LEFT:
        # It was cancelled, and says so in another way. Nobody waits for an answer.
        failures.warn(flight, f"the handler raised {type(exc).__name__} when its client had left: {exc}")
        return CANCELED
    report = failures.tell(where, flight, exc)
    await failures.answer(flight, report, send)
    return ERROR


async def _time_out(flight: Flight, send: Any) -> str:
    """Tell a client that it has stopped in mid-body (RFC 9110 §15.5.9); it is no failure of the handler's."""
    if flight.status:
        return OK if flight.status == 408 else CANCELED
    await answer(flight, send, 408, b"text/plain; charset=utf-8", b"Request Timeout\n", is_last=True)
    return OK


def _is_for_want_of_a_client(flight: Flight, exc: BaseException) -> bool:
    """Return whether ``exc`` says no more than that the client has left while its body was read."""
    if not (flight.connection.is_lost or flight.end is End.CLIENT_LEFT):
        return False
    # The second is Starlette's, which need not be imported to be known by its name.
    return isinstance(exc, ResetError) or type(exc).__name__ == "ClientDisconnect"


def finished(flight: Flight, outcome: str, reporter: Reporter) -> None:
    """Say how a request ended."""
    client = flight.scope.get("client")
    if flight.end is not None:
        outcome = CANCELED
    reporter.send(
        RequestFinished(
            request_id=flight.request_id,
            method=flight.method,
            path=flight.path,
            status=flight.status,
            duration_s=time.monotonic() - flight.started,
            outcome=outcome,
            client=client[0] if client else "",
        )
    )
