"""The body of a request as it arrives: pulls ASGI messages, one at a time, while somebody reads.

The server stops reading from the client when nobody pulls; that is the back-pressure of an upload.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from longshore.errors import ResetError
from longshore.workers._sources import PulledSource
from longshore.workers._timed_receive import BodyTimeout

__all__ = ["IncomingBody", "Receive"]

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]


class IncomingBody(PulledSource):
    """A ``ReadSource`` over ``receive()``.

    Args:
        receive: ASGI's; nobody else may call it until ``is_received``.
        length_bytes: what ``Content-Length`` says, or None.
    """

    __slots__ = ("_length_bytes", "_receive", "is_received", "received_bytes")

    def __init__(self, receive: Receive, length_bytes: int | None) -> None:
        super().__init__()
        self._receive = receive
        self._length_bytes = length_bytes
        self.received_bytes = 0
        self.is_received = False
        """True once nothing more of the body will come: it is complete, its client has left or is too slow."""

    @property
    def length_bytes(self) -> int | None:
        """How many bytes are still to be read, when the client said so."""
        if self._length_bytes is None:
            return None
        return self._length_bytes - self.received_bytes + len(self._chunk) - self._offset

    async def _pull(self) -> bytes | None:
        if self.is_received:
            return None
        try:
            message = await self._receive()
        except BodyTimeout as exc:
            self.is_received = True
            self._fail(exc)
            return b""
        if message["type"] != "http.request":
            self.is_received = True
            self._fail(self._left())
            return b""
        chunk: bytes = message.get("body", b"")
        self.received_bytes += len(chunk)
        self.is_received = not message.get("more_body", False)
        return chunk

    def _left(self) -> ResetError:
        total = "" if self._length_bytes is None else f" of {self._length_bytes}"
        return ResetError(
            f"the client left after {self.received_bytes}{total} bytes of the request body", during="read"
        )
