"""Sends the head of a response so that one which the server refuses can still be replaced by an error.

uvicorn notes that the response has begun, and only then looks at its headers: after a header that must not be sent
nothing could be said any more. So that note is taken back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from longshore.runtime.worker.flight import Flight

__all__ = ["send_head"]


async def send_head(
    flight: Flight, send: Callable[[dict[str, Any]], Coroutine[Any, Any, None]], message: dict[str, Any]
) -> None:
    """Send ``http.response.start`` and note the status in ``flight``.

    Args:
        flight: the request.
        send: ASGI's, of any server, or what ``without_chunks()`` made of it.
        message: the head.

    Raises:
        ValueError: the status or a header cannot be sent; nothing was, and another head can be.
        Exception: what ``send`` raises for any other reason.

    Cancellation: as that of ``send``.
    """
    cycle = getattr(send, "__self__", None)
    cycle = getattr(cycle, "cycle", cycle)
    flight.status = message["status"]
    if not isinstance(cycle, RequestResponseCycle) or cycle.response_started:
        await send(message)
        return
    try:
        await send(message)
    except asyncio.CancelledError:
        if not cycle.response_started:  # it waited for the client to take what came before
            flight.status = 0
        raise
    except Exception as exc:
        # The last thing that uvicorn does is to write, so nothing has left.
        cycle.response_started = False
        cycle.chunked_encoding = None
        cycle.expected_content_length = 0
        flight.status = 0
        if (why := _fault(message)) is not None:
            raise ValueError(why) from exc
        raise


def _fault(message: dict[str, Any]) -> str | None:
    status = message["status"]
    if status not in STATUS_LINE:
        return f"the response has the status {status!r}, which HTTP does not have: use one from 200 to 599"
    for name, value in message.get("headers", ()):
        if HEADER_RE.search(name):
            return f"the response has a header named {name!r}, which is not allowed in HTTP"
        if found := HEADER_VALUE_RE.search(value):
            shown = name.decode("latin-1")
            return f"the header {shown!r} of the response holds {found[0]!r}: control characters are not allowed"
    return None
