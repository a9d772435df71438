"""A real HTTP server in the loop of the test, for ``fetch()``: uvicorn, with an application made of functions."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from tests.certificates import CertificateFiles

__all__ = ["Web", "serving"]

BIG_CHUNK = b"0123456789abcdef" * 4096


class Web:
    """An ASGI application that answers by path, and remembers who asked."""

    def __init__(self) -> None:
        self.clients: set[tuple[str, int]] = set()
        self.requests: list[tuple[str, str]] = []
        self.left = 0
        """How many clients left before they had everything."""
        self.received_bytes = 0
        self.sent_bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.clients.add(tuple(scope["client"]))
        self.requests.append((scope["method"], scope["path"]))
        name = scope["path"].split("/")[1] or "hello"
        answer: Callable[..., Awaitable[None]] = getattr(self, f"on_{name}")
        await answer(scope, receive, _Answer(scope, send))

    async def on_hello(self, scope: Any, receive: Any, answer: _Answer) -> None:
        await answer(200, b"hello", {"content-type": "text/plain"})

    async def on_sized(self, scope: Any, receive: Any, answer: _Answer) -> None:
        await answer(200, b"sized", {"content-length": "5"})

    async def on_echo(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Send the headers of the request as ``x-sent``, and its body."""
        sent = json.dumps({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
        body = await _body(receive)
        await answer(200, body, {"x-sent": sent, "x-method": scope["method"]})

    async def on_count(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Count the bytes of an upload, holding none of them."""
        while True:
            message = await receive()
            self.received_bytes += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await answer(200, str(self.received_bytes).encode())

    async def on_control(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Send a control character, which uvicorn would refuse: past it, on its transport."""
        transport = answer.send.__self__.transport
        transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-odd: a\x01b\r\n\r\nhi")
        transport.close()

    async def on_status(self, scope: Any, receive: Any, answer: _Answer) -> None:
        await answer(int(scope["path"].split("/")[2]), b"")

    async def on_to(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Redirect: ``/to/STATUS?LOCATION``."""
        await _body(receive)
        await answer(int(scope["path"].split("/")[2]), b"moved", {"location": scope["query_string"].decode()})

    async def on_loop(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Redirect to itself, with a smaller number, until that is 0."""
        left = int(scope["path"].split("/")[2])
        await answer(302 if left else 200, b"", {"location": f"/loop/{left - 1}"})

    async def on_gzip(self, scope: Any, receive: Any, answer: _Answer) -> None:
        content = b"packed " * 1000
        packed = gzip.compress(content)
        await answer(200, packed, {"content-encoding": "gzip", "content-length": str(len(packed))})

    async def on_bomb(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Send 64 MiB in 64 KiB."""
        await answer(200, gzip.compress(bytes(64 * 1024 * 1024)), {"content-encoding": "gzip"})

    async def on_cookies(self, scope: Any, receive: Any, answer: _Answer) -> None:
        await answer(200, b"", [("set-cookie", "a=1"), ("set-cookie", "b=2; Path=/")])

    async def on_stream(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Send ``/stream/N`` chunks of 64 KiB."""
        await answer.start(200, {})
        for _ in range(int(scope["path"].split("/")[2])):
            await answer.send({"type": "http.response.body", "body": BIG_CHUNK, "more_body": True})
            self.sent_bytes += len(BIG_CHUNK)
        await answer.send({"type": "http.response.body"})

    async def on_drip(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Send one chunk, and then nothing until the client has left."""
        await answer.start(200, {})
        await answer.send({"type": "http.response.body", "body": b"first", "more_body": True})
        await _body(receive)
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left += 1

    async def on_stall(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Never answer."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left += 1

    async def on_short(self, scope: Any, receive: Any, answer: _Answer) -> None:
        """Promise ten bytes, send three, and hang up."""
        await answer.start(200, {"content-length": "10"})
        await answer.send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ConnectionAbortedError("on purpose")


class _Answer:
    def __init__(self, scope: Any, send: Any) -> None:
        self.scope = scope
        self.send = send

    async def __call__(
        self, status: int, body: bytes, headers: Mapping[str, str] | list[tuple[str, str]] | None = None
    ) -> None:
        await self.start(status, headers or {})
        await self.send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Mapping[str, str] | list[tuple[str, str]]) -> None:
        pairs = headers if isinstance(headers, list) else list(headers.items())
        raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})


@asynccontextmanager
async def serving(
    app: Any, certificate: CertificateFiles | None = None, *, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Serve ``app`` and give its URL, without a slash at its end."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", date_header=False)
    if certificate is not None:
        config.ssl_certfile, config.ssl_keyfile = str(certificate.chain), str(certificate.private_key)
    config.load()
    # asyncio sets TCP_NODELAY for sockets that know that they speak TCP; one made from its descriptor does.
    with socket.socket(fileno=socket.create_server((host, 0)).detach()) as listener:
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        scheme = "http" if certificate is None else "https"
        try:
            yield f"{scheme}://{host}:{listener.getsockname()[1]}"
        finally:
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()
            await server.shutdown(sockets=[listener])


async def _body(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
