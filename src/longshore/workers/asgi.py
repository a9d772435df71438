"""Runs ASGI applications inside a worker: ``asgi.entrypoint(app)``, or ``asgi.fetch(app, request, env)`` in a handler.

``Default = asgi.entrypoint(app)`` is the fast way: the runtime hands requests and WebSockets to the application itself.
``fetch()`` is for handlers that do something before or after. The application finds the bindings in ``scope["env"]``.

Theory of operation of ``fetch()``. The application runs in a task of its own, which the worker waits for like any
``wait_until`` work. Its body goes to the ``Response`` through a hand-over of one chunk: ``send()`` waits until there is
room, so a slow client slows the application down. When the client leaves, the iterator of the body is closed:
``receive()`` then gives ``http.disconnect``, and ``send()`` does nothing, then raises ``OSError``. The lifespan of the
application begins with its first request and ends with the worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.workers._asgi_exchange import Exchange
from longshore.workers._asgi_lifespan import lifespan_of
from longshore.workers._context import current_context
from longshore.workers._entrypoint import WorkerEntrypoint
from longshore.workers._gateway import BaseOptions
from longshore.workers._response import Response

if TYPE_CHECKING:
    from longshore.workers._context import Context
    from longshore.workers._request import Request

__all__ = ["Options", "entrypoint", "fetch", "websocket"]


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of the ASGI adapter."""


async def fetch(
    app: Any, request: Request, env: Any, ctx: Context | None = None, *, options: Options | None = None
) -> Response:
    """Let an ASGI application answer.

    Args:
        app: the application (ASGI 3).
        request: of the handler.
        env: becomes ``scope["env"]``.
        ctx: accepted as in Cloudflare's SDK; the context of the handler is used.
        options: see ``Options``.

    Returns:
        The response, as soon as its head and the first part of its body are there.

    Raises:
        RuntimeError: the application ended without a response, or its startup failed.
        Exception: what the application raised before its response began.

    Cancellation: cancels the application.
    """
    state = await lifespan_of(app)
    return await Exchange(app, request, env, state).run()


async def websocket(app: Any, request: Request, env: Any = None) -> Response:
    """Let an ASGI application accept and serve the WebSocket that ``request`` asks for.

    Args:
        app: the application (ASGI 3).
        request: of the handler; it has the header ``Upgrade: websocket``.
        env: becomes ``scope["env"]``.

    Returns:
        A response of status 101, when the WebSocket has ended; return it from the handler.

    Raises:
        RuntimeError: the request is no handshake of a WebSocket.

    Cancellation: ends the WebSocket.
    """
    context = current_context.get()
    if context is None or context.websocket is None:
        raise RuntimeError(f"{request.method} {request.url} does not ask for a WebSocket: use asgi.fetch()")
    scope, receive, send = context.websocket
    state = await lifespan_of(app)
    await app({**scope, "env": env if env is not None else {}, "state": dict(state)}, receive, send)
    return switched_protocols()


def entrypoint(app: Any, *, options: Options | None = None) -> type[WorkerEntrypoint]:
    """Return the default entrypoint of an ASGI application: ``Default = asgi.entrypoint(app)``.

    Args:
        app: the application (ASGI 3).
        options: see ``Options``.
    """

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            if (request.headers.get("upgrade") or "").lower() == "websocket":
                return await websocket(app, request, self.env)
            return await fetch(app, request, self.env, self.ctx, options=options)

    # The runtime looks for it, and then passes the application what the server has, without this detour.
    Default.fetch.application = app  # type: ignore[attr-defined] # a function takes any attribute
    return Default


def switched_protocols() -> Response:
    """Return the response that says that the connection is a WebSocket's now."""
    response = Response(None)
    response._status = 101
    return response


def __getattr__(name: str) -> Any:
    if name == "env":
        return _env_dependency()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _env_dependency() -> Any:
    """Return ``asgi.env``: the parameter default with which a FastAPI route asks for the bindings."""
    from fastapi import Depends, Request  # noqa: PLC0415 - only for who uses it

    def env(request: Request) -> Any:
        return request.scope["env"]

    env.__annotations__["request"] = Request  # the annotation above is text, and not to be found in this module
    return Depends(env)
