"""The bare ASGI application that gives the same answers as the workers beside it, without Longshore."""

from __future__ import annotations

import asyncio
import os
from typing import Any

__all__ = ["hello", "socket"]

HELLO = b"Hello from a worker\n"


async def _answer(send: Any, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"text/plain;charset=UTF-8"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    """Say hello."""
    assert scope["type"] == "http"
    await _answer(send, HELLO)


async def socket(scope: Any, _receive: Any, send: Any) -> None:
    """Open a connection with asyncio's streams, one round trip, close."""
    assert scope["type"] == "http"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["ECHO_PORT"]))
    writer.write(b"ping\n")
    body = await reader.read(65536)
    writer.close()
    await writer.wait_closed()
    await _answer(send, body)
