"""Lets uvicorn end a body with the connection, for a client of HTTP/1.0: it knows no chunks (RFC 9112 §6.1).

uvicorn marks every body without a length as chunked. What it sends is decided by two attributes of its cycle, which are
set here before each message, so that all the rest (back-pressure, the client that leaves, the state) stays its own.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

__all__ = ["without_chunks"]


def without_chunks(scope: Any, send: Send) -> Send:
    """Return ``send``, or what does the same without chunks if the client of ``scope`` would not understand them.

    Args:
        scope: of the request.
        send: ASGI's; another server's is returned as it is.
    """
    if scope.get("http_version") != "1.0" or not isinstance(send, MethodType):
        return send
    cycle = send.__self__
    return _PlainBody(cycle).send if isinstance(cycle, RequestResponseCycle) else send


class _PlainBody:
    """Sends for one cycle, whose connection uvicorn closes after the response, as it does for every such client."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle
        self._has_length = False

    async def send(self, message: dict[str, Any]) -> None:
        cycle = self.cycle
        if not cycle.response_started:
            headers = message.get("headers", ())
            self._has_length = any(name.lower() == b"content-length" for name, _ in headers)
            if not self._has_length:
                cycle.chunked_encoding = False
                headers = [pair for pair in headers if pair[0].lower() != b"transfer-encoding"]
                message = {**message, "headers": headers}
        elif not self._has_length:
            cycle.expected_content_length = len(message.get("body", b""))
        await cycle.send(message)  # type: ignore[arg-type]  # a message of ASGI, of which uvicorn has its own types
