"""A client as an ASGI application sees it: a scope, and ``receive()`` with uvicorn's behaviour."""

from __future__ import annotations

import asyncio
from typing import Any

from longshore.workers._request import Request, incoming_request

__all__ = ["Client", "http_scope", "incoming"]

Message = dict[str, Any]


class Client:
    """Sends a body piece by piece; ``receive()`` waits for it, and is safe to cancel.

    Args:
        pieces: sent at once.
    """

    def __init__(self, *pieces: bytes) -> None:
        self._messages: list[Message] = []
        self._changed = asyncio.Event()
        self.received = 0
        """How many messages the application has taken."""
        for piece in pieces:
            self.send(piece)

    def send(self, piece: bytes, *, is_last: bool = False) -> None:
        self._say({"type": "http.request", "body": piece, "more_body": not is_last})

    def finish(self) -> None:
        self.send(b"", is_last=True)

    def leave(self) -> None:
        self._say({"type": "http.disconnect"})

    async def receive(self) -> Message:
        while not self._messages:
            self._changed.clear()
            await self._changed.wait()
        self.received += 1
        return self._messages.pop(0)

    def _say(self, message: Message) -> None:
        self._messages.append(message)
        self._changed.set()


def http_scope(method: str = "GET", path: str = "/", **headers: str) -> dict[str, Any]:
    """Return what uvicorn gives; an underscore in the name of a header stands for a hyphen."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"worker.example"), *raw],
        "client": ("192.0.2.7", 54321),
        "server": ("127.0.0.1", 8787),
    }


def incoming(*pieces: bytes, method: str = "POST", is_whole: bool = True, **headers: str) -> Request:
    """Return a request whose client has sent ``pieces``, and, if ``is_whole``, nothing else."""
    client = Client(*pieces)
    if is_whole:
        client.finish()
    headers.setdefault("content_length", str(sum(map(len, pieces))))
    return incoming_request(http_scope(method, **headers), client.receive)
