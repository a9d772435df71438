"""One request to an ASGI application, made of a ``Request`` and ended in a ``Response``; see ``workers.asgi``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from longshore.aio.tasks import spawn
from longshore.errors import ResetError
from longshore.workers._asgi_lifespan import ASGI
from longshore.workers._context import current_context
from longshore.workers._response import Response

if TYPE_CHECKING:
    from longshore.workers._request import Request

__all__ = ["Exchange"]

# WHATWG Fetch §2.2.3.
NULL_BODY_STATUSES = frozenset({101, 103, 204, 205, 304})

MAX_DROPPED = 100
"""Messages for a client that has left, after which the application is told with an error."""


class Exchange:
    """Carries messages between an application and the handler that called it.

    Args:
        app: the application.
        request: what it is asked.
        env: becomes ``scope["env"]``.
        state: of its lifespan.
    """

    def __init__(self, app: Any, request: Request, env: Any, state: dict[str, Any]) -> None:
        self._app = app
        self._request = request
        # The exchange stands for the connection: it knows when nobody listens any more.
        self._scope = {**scope_of(request, env, state), "longshore.connection": self}
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        loop = asyncio.get_running_loop()
        self._response: asyncio.Future[Response] = loop.create_future()
        # Resolves when the response is complete, or nobody wants it any more.
        self._over: asyncio.Future[None] = loop.create_future()
        self._is_read = False
        self._source: Any = None
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(1)
        self._dropped = 0
        self.is_lost = False

    async def run(self) -> Response:
        """Start the application and wait for the head of its response."""
        task = spawn(self._run(), name="ASGI application")
        context = current_context.get()
        if context is not None:
            context.wait_until(task)
        try:
            return await self._response
        except asyncio.CancelledError:
            self.abandon()
            task.cancel()
            raise

    def abandon(self) -> None:
        """Note that nobody reads the response any more."""
        if not self._over.done():
            self.is_lost = True
            self._over.set_result(None)
            while not self._chunks.empty():
                self._chunks.get_nowait()  # who waits for room may go on, and finds out

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            if not self._response.done():
                raise RuntimeError("the application did not generate a response")
        except asyncio.CancelledError:
            self._response.cancel()
            self.abandon()
            raise
        except BaseException as exc:
            if await self._deliver(exc):
                return
            if isinstance(exc, Exception):
                raise
            # sys.exit() in a task would end the event loop.
            raise RuntimeError(f"the application raised {exc!r}") from exc

    async def _deliver(self, exc: BaseException) -> bool:
        """Pass a failure on to who waits for the response or its body; False when nobody does."""
        if not self._response.done():
            self._response.set_exception(exc)
            return True
        if self.is_lost:
            return isinstance(exc, OSError)  # it was told so by send()
        if self._over.done():
            return False
        await self._chunks.put(exc)
        return True

    # -- what the application calls --------------------------------------------------------------

    async def _receive(self) -> dict[str, Any]:
        if not self._is_read and not self.is_lost:
            if self._source is None:
                self._source = self._request.body
            try:
                data = b"" if self._source is None else await self._source.read()
            except ResetError:
                return {"type": "http.disconnect"}
            self._is_read = not data
            return {"type": "http.request", "body": data, "more_body": not self._is_read}
        await asyncio.shield(self._over)
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self.is_lost:
            await self._drop()
        elif message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            await self._send_body(bytes(message.get("body", b"")), message.get("more_body", False))

    async def _drop(self) -> None:
        """Discard a message, as servers do: the application finds out with ``receive()``, if it cares to."""
        self._dropped += 1
        if self._dropped > MAX_DROPPED:
            raise OSError("the client has left")
        await asyncio.sleep(0)

    async def _send_body(self, data: bytes, has_more: bool) -> None:
        if not self._response.done():
            if not has_more:
                self._respond(None if self._status in NULL_BODY_STATUSES else data or None)
                self._over.set_result(None)
                return
            self._respond(Body(self, self._chunks))
        if data:
            await self._chunks.put(data)
        if not has_more:
            await self._chunks.put(None)

    def _respond(self, body: Any) -> None:
        self._response.set_result(Response(body, status=self._status, headers=self._headers))

    def finish(self) -> None:
        """Note that the response was read to its end."""
        if not self._over.done():
            self._over.set_result(None)


class Body:
    """The body of a response, as the application makes it; who lets go of it abandons the application.

    Not a generator: one that nobody has begun to read would not learn that it is closed.
    """

    __slots__ = ("_chunks", "_exchange", "_is_over")

    def __init__(self, exchange: Exchange, chunks: asyncio.Queue[bytes | BaseException | None]) -> None:
        self._exchange = exchange
        self._chunks = chunks
        self._is_over = False

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        chunk = await self._chunks.get()
        if isinstance(chunk, bytes):
            return chunk
        self._is_over = True
        self._exchange.finish()
        if chunk is None:
            raise StopAsyncIteration
        raise chunk

    async def aclose(self) -> None:
        """Abandon the application, unless it has finished."""
        self._is_over = True
        self._exchange.abandon()

    def __del__(self) -> None:
        loop = self._exchange._over.get_loop()
        if not self._is_over and not loop.is_closed():
            loop.call_soon_threadsafe(self._exchange.abandon)  # garbage is collected in any thread


def scope_of(request: Request, env: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    url = urlsplit(request.url)
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": "1.1",
        "method": str(request.method),
        "scheme": url.scheme,
        "path": unquote(url.path) or "/",
        "raw_path": (url.path or "/").encode("ascii", "replace"),
        "query_string": url.query.encode("ascii", "replace"),
        "root_path": "",
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in request.headers.items()],
        "client": request.client,
        "server": (url.hostname or "", url.port or (443 if url.scheme == "https" else 80)),
        "env": env,
        "state": dict(state),
    }
