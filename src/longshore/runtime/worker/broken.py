"""The application that ``longshore dev`` serves while the user's module cannot be run: the boot failure, as a page.

Loaded as ``main`` of an otherwise ordinary worker; the report is the variable ``report`` of its configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from longshore.proto.ipc.messages import ErrorReport
from longshore.runtime.worker.error_page import error_page
from longshore.workers._context import current_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

__all__ = ["app"]


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer every request with the report: HTML for browsers, the traceback for everybody else."""
    match scope["type"]:
        case "http":
            await _answer(scope, send)
        case "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1011, "reason": "the worker could not be started"})
        case "lifespan":
            while True:
                phase = (await receive())["type"].removeprefix("lifespan.")
                await send({"type": f"lifespan.{phase}.complete"})
                if phase == "shutdown":
                    return


async def _answer(scope: MutableMapping[str, Any], send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    report = msgspec.convert(scope["env"].report, ErrorReport)
    context = current_context.get()
    accepts = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    if context is not None and b"text/html" in accepts:
        kind, body = b"text/html; charset=utf-8", error_page(report, context)
    else:
        kind, body = b"text/plain; charset=utf-8", report.text
    content = body.encode("utf-8", "replace")
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": content})
