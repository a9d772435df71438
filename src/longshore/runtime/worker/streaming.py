"""Sends a response body that is not there yet: chunk by chunk, as fast as the client takes it.

The head leaves with the first chunk, or after ``HEAD_DELAY_S`` when that takes longer: a body that fails at once (the
socket behind it was refused) is then answered with an error instead of a truncated 200. Whatever ends the sending
early, the source is told: an iterator is closed, a stream cancelled, and the socket behind it aborted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from longshore.aio.tasks import spawn
from longshore.runtime.worker.head import send_head
from longshore.sockets._lease import Lease
from longshore.sockets._readable import ReadableStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from longshore.runtime.worker.flight import Flight
    from longshore.workers._types import Payload

    Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

__all__ = ["BODY", "START", "give_up", "send_stream"]

START: Final = "http.response.start"
BODY: Final = "http.response.body"

HEAD_DELAY_S: Final = 0.05
"""A person does not notice it, and a refused connection on a local network is known well before."""

STOP_S: Final = 1.0
"""A head that is being sent ends at once when it is cancelled; no server can make a request wait for longer."""


async def send_stream(
    flight: Flight,
    send: Send,
    status: int,
    headers: list[tuple[bytes, bytes]],
    payload: Payload,
) -> None:
    """Send a whole response; ``flight.status`` is set once its head has left.

    Raises:
        Exception: what the source raised; when ``flight.status`` is set, the response is incomplete.

    Cancellation: ends the response, which stays incomplete, and gives up the source.
    """
    flight.begin_streaming()
    if flight.scope.get("method") == "HEAD":
        await give_up(payload, "the response to HEAD has no body")
        await _send_empty(flight, send, status, headers)
        return
    head = _Head(flight, send, status, headers)
    assert not isinstance(payload, bytes)
    source = payload.__aiter__()
    try:
        await _send_chunks(source, head, flight, send)
    except BaseException as exc:
        head.stop()
        await give_up(source, exc)
        if source is not payload:
            await give_up(payload, exc)
        await head.stopped()
        raise


async def _send_chunks(source: Any, head: _Head, flight: Flight, send: Send) -> None:
    async for chunk in source:
        if not head.is_sent:
            await head.go()
        if flight.connection.is_lost:
            raise asyncio.CancelledError  # a source that never waits would not notice that it was cancelled
        if chunk:
            await send({"type": BODY, "body": as_bytes(chunk), "more_body": True})
    if not head.is_sent:
        await head.go()
    await send({"type": BODY, "body": b""})


async def _send_empty(flight: Flight, send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send_head(flight, send, {"type": START, "status": status, "headers": headers})
    await send({"type": BODY, "body": b""})


def as_bytes(chunk: object) -> bytes | bytearray | memoryview:
    """Return a chunk in a form that can be sent.

    Raises:
        TypeError: it is not bytes.
    """
    if isinstance(chunk, (bytes, bytearray)):
        return chunk
    if isinstance(chunk, memoryview):
        return chunk.cast("B")
    hint = "; use .encode()" if isinstance(chunk, str) else ""
    raise TypeError(f"a response body must consist of bytes, not {type(chunk).__name__}{hint}")


class _Head:
    """Status and headers, sent once: by ``go()`` or by the clock."""

    __slots__ = ("_flight", "_message", "_send", "_task", "_timer", "is_sent")

    def __init__(self, flight: Flight, send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._flight = flight
        self._send = send
        self._message: dict[str, Any] = {"type": START, "status": status, "headers": headers}
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(HEAD_DELAY_S, self._on_time)
        self.is_sent = False

    async def go(self) -> None:
        """Send it, or wait until it is sent."""
        self._timer.cancel()
        self.is_sent = True
        if self._task is not None:
            await self._task
        else:
            await self._send_now()

    def stop(self) -> None:
        """Let the clock forget it."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        """Wait until nobody sends it any more: another head may follow."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_S)

    def _on_time(self) -> None:
        if self._flight.end is None:
            self._task = spawn(self._send_now(), name="head of a response", on_done=_retrieve)

    async def _send_now(self) -> None:
        await send_head(self._flight, self._send, self._message)


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # whoever awaits the task has it; nobody does when the request is cancelled


async def give_up(source: object, reason: object) -> None:
    """Lose interest in what a body comes from; never raises."""
    try:
        if isinstance(source, ReadableStream):
            await _abandon(source, reason)
        elif (close := getattr(source, "aclose", None)) is not None:
            await close()
    except Exception:  # noqa: BLE001, S110 - why it cannot be closed does not matter any more
        pass


async def _abandon(stream: ReadableStream, reason: object) -> None:
    lease = stream._keep
    if isinstance(lease, Lease):
        lease.channel.abort(reason)  # a socket of which half goes on would wait for its peer forever
    elif not stream.locked:
        await stream.cancel(reason)
