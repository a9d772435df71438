"""Runs WSGI applications inside a worker: ``wsgi.entrypoint(app)``, or ``wsgi.fetch(app, request, env)`` in a handler.

The application runs in a thread (a2wsgi), with the bindings in ``environ["workers.env"]``. ``workers.wait_until`` works
in it. A thread cannot be cancelled: when the client leaves, its iterable is closed before the next chunk.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from longshore.aio.tasks import spawn
from longshore.errors import ResetError
from longshore.workers._asgi_exchange import Exchange
from longshore.workers._entrypoint import WorkerEntrypoint
from longshore.workers._gateway import BaseOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.workers._context import Context
    from longshore.workers._request import Request
    from longshore.workers._response import Response

__all__ = ["Options", "as_asgi", "entrypoint", "fetch"]

MAX_THREADS = 32
"""Requests that the WSGI applications of a worker answer at a time; more wait."""

# By identity of the application, which an adapter that somebody holds keeps alive.
_adapters: WeakValueDictionary[int, Adapter] = WeakValueDictionary()
# One for all: an application that is made for a single request must not leave a thread behind.
_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="WSGI")


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of the WSGI adapter."""


async def fetch(
    app: Any, request: Request, env: Any, ctx: Context | None = None, *, options: Options | None = None
) -> Response:
    """Let a WSGI application answer.

    Args:
        app: the application.
        request: of the handler.
        env: becomes ``environ["workers.env"]``.
        ctx: accepted as in Cloudflare's SDK; the context of the handler is used.
        options: see ``Options``.

    Raises:
        RuntimeError: the application ended without a response.
        Exception: what the application raised before its response began.

    Cancellation: safe; the thread goes on until the next chunk.
    """
    return await Exchange(as_asgi(app), request, env, {}).run()


def entrypoint(app: Any, *, options: Options | None = None) -> type[WorkerEntrypoint]:
    """Return the default entrypoint of a WSGI application: ``Default = wsgi.entrypoint(app)``.

    Args:
        app: the application.
        options: see ``Options``.
    """

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            return await fetch(app, request, self.env, self.ctx, options=options)

    # The runtime looks for it, and then passes the application what the server has, without this detour.
    Default.fetch.application = app  # type: ignore[attr-defined] # a function takes any attribute
    return Default


def as_asgi(app: Any) -> Any:
    """Return an ASGI application that runs a WSGI application in threads; the same one for the same application."""
    adapter = _adapters.get(id(app))
    if adapter is None:
        adapter = _adapters[id(app)] = Adapter(app)
    return adapter


class Adapter:
    """The application in threads, with what a worker adds, and without a thread that waits for nobody.

    a2wsgi's threads hand their chunks to the event loop and wait until they are taken: whoever cancels its coroutine
    leaves the thread waiting for ever. So the coroutine is never cancelled. When the request is, sending becomes doing
    nothing, and the thread ends at its next chunk.

    Args:
        app: the WSGI application.
    """

    def __init__(self, app: Any) -> None:
        from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - only for who has such an application

        self.app = app  # what holds it holds its id, by which it is found again
        self._middleware: Any = WSGIMiddleware(_prepared(app))
        self._middleware.executor = _threads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._middleware(scope, receive, send)
            return
        client = _Client(scope.get("longshore.connection"), send)
        upload = _Upload(receive)
        work = self._middleware({**scope, "longshore.client": client}, upload.receive, client.send)
        task = spawn(work, name="WSGI application")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            client.is_gone = True
            task.add_done_callback(_retrieve)
            raise


class _Upload:
    """The body of a request. a2wsgi takes a client that leaves for the end of the body, which rule K5 forbids."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._is_complete = False

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.request":
            self._is_complete = not message.get("more_body", False)
        elif not self._is_complete:
            raise ResetError("the client left before the end of the request body", during="read")
        return message


class _Client:
    """Who the response is for, as long as somebody is there."""

    def __init__(self, connection: Any, send: Any) -> None:
        self._connection = connection
        self._send = send
        self.is_gone = False

    @property
    def is_lost(self) -> bool:
        return self.is_gone or (self._connection is not None and self._connection.is_lost)

    async def send(self, message: dict[str, Any]) -> None:
        if self.is_gone:
            return
        try:
            await self._send(message)
        except OSError:
            self.is_gone = True


def _prepared(app: Any) -> Any:
    def run(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        scope = environ["asgi.scope"]
        environ["workers.env"] = scope.get("env")
        client: _Client = scope["longshore.client"]
        chunks = app(environ, start_response)
        try:
            for chunk in chunks:
                if client.is_lost:
                    return
                yield chunk
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    return run


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # nobody is left to be told
