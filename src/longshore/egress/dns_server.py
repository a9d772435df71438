"""``NameServer``: port 53 inside a worker's network namespace, served from outside.

The two sockets were made and bound inside, by whoever set the namespace up; a socket keeps its namespace wherever it is
read. What is answered, ``NameDesk`` decides.

A worker is hostile until proven otherwise, and this process serves others too:

* What is known is answered in the reader's callback; the rest in tasks, of which there are ``_MAX_TASKS`` at most, and
  a client beyond that is told at once that it failed.
* Beyond ``_QUERIES_PER_S`` nothing is read: questions wait in the kernel's buffer, and are lost when that is full, as
  on any busy network.
* No bytes that arrive end the server or raise out of it.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from longshore.aio.tasks import spawn
from longshore.egress.dns_desk import NameDesk
from longshore.egress.dns_messages import MAX_QUERY_BYTES, NotAQuery, Unanswerable, failure, parse_query, to_wire
from longshore.egress.token_bucket import TokenBucket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

    from longshore.egress.context import WorkerContext
    from longshore.egress.dns_messages import Query

__all__ = ["NameServer"]

_logger = logging.getLogger(__name__)

# A question costs about 150 µs: one worker gets a third of a core at the most, for names.
_QUERIES_PER_S: Final = 2000.0
_BURST: Final = 1000
# Datagrams of one worker that are read before others have their turn.
_BATCH: Final = 16
_MAX_TASKS: Final = 256
_MAX_STREAMS: Final = 16
# How long a client may take for its next question, RFC 7766 §6.2.3: "of the order of a few seconds".
_STREAM_IDLE_S: Final = 10.0
_LISTEN_BACKLOG: Final = 16
_MIN_PAUSE_S: Final = 0.01
_ERROR_PAUSE_S: Final = 1.0


class NameServer:
    """Answers one worker's DNS queries.

    Args:
        context: of the worker.
        udp: bound to port 53 in the worker's namespace.
        tcp: the same; need not listen yet. Both belong to the server from now on.
        stream_idle_s: how long a connection may be idle.
        queries_per_s: so many questions are read each second, for long.
    """

    def __init__(
        self,
        context: WorkerContext,
        udp: socket.socket,
        tcp: socket.socket,
        *,
        stream_idle_s: float = _STREAM_IDLE_S,
        queries_per_s: float = _QUERIES_PER_S,
    ) -> None:
        self._desk = NameDesk(context)
        self._udp = udp
        self._tcp = tcp
        self._stream_idle_s = stream_idle_s
        self._rate = TokenBucket(queries_per_s, _BURST, monotonic())
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams = 0
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin to answer; needs a running loop.

        Raises:
            OSError: the TCP socket cannot listen.
        """
        self._tcp.listen(_LISTEN_BACKLOG)
        for sock, on_readable in ((self._udp, self._on_datagrams), (self._tcp, self._on_stream)):
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock.fileno(), on_readable)

    async def aclose(self) -> None:
        """Stop, and close both sockets. Idempotent.

        Cancellation: safe; the sockets are closed.
        """
        for pause in self._pauses.values():
            pause.cancel()
        for sock in (self._udp, self._tcp):
            if sock.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- UDP --------------------------------------------------------------------------------------------------------

    def _on_datagrams(self) -> None:
        for _ in range(_BATCH):
            wait_s = self._rate.take(monotonic())
            if wait_s > 0:
                self._pause(self._udp, self._on_datagrams, max(wait_s, _MIN_PAUSE_S))
                return
            try:
                wire, client = self._udp.recvfrom(MAX_QUERY_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                # Not a datagram socket that works; without a pause the loop would do nothing else.
                self._pause(self._udp, self._on_datagrams, _ERROR_PAUSE_S)
                return
            self._on_datagram(wire, client)

    def _on_datagram(self, wire: bytes, client: Any) -> None:
        query = _read(wire)
        if query is None or isinstance(query, bytes):
            self._send(query, client)
            return
        reply = self._answer_at_once(query, query.max_udp_bytes)
        if reply is None and len(self._tasks) >= _MAX_TASKS:
            reply = to_wire(failure(query, "too many questions are open"), query.max_udp_bytes)
        if reply is None:
            self._spawn(self._answer_datagram(query, client))
        else:
            self._send(reply, client)

    async def _answer_datagram(self, query: Query, client: Any) -> None:
        self._send(await self._answer(query, query.max_udp_bytes), client)

    def _send(self, reply: bytes | None, client: Any) -> None:
        if reply is None:
            return
        try:
            self._udp.sendto(reply, client)
        except OSError:
            pass  # its buffer is full, or it has gone: UDP may lose any datagram

    # --- TCP --------------------------------------------------------------------------------------------------------

    def _on_stream(self) -> None:
        try:
            stream, _ = self._tcp.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptor is left, and the client is still there: without a pause the loop would do nothing else.
            self._pause(self._tcp, self._on_stream, _ERROR_PAUSE_S)
            return
        if self._streams >= _MAX_STREAMS:
            stream.close()
            return
        stream.setblocking(False)
        self._streams += 1
        self._spawn(self._serve_stream(stream))

    async def _serve_stream(self, stream: socket.socket) -> None:
        """Answer questions one after the other until the client ends, or is silent for too long."""
        try:
            with stream:
                while await self._serve_one(stream):
                    pass
        except (OSError, EOFError):
            pass  # gone, or silent (a TimeoutError is an OSError)
        finally:
            self._streams -= 1

    async def _serve_one(self, stream: socket.socket) -> bool:
        async with asyncio.timeout(self._stream_idle_s):
            length = int.from_bytes(await _read_exactly(stream, 2), "big")
            if length > MAX_QUERY_BYTES:
                return False
            wire = await _read_exactly(stream, length)
        wait_s = self._rate.take(monotonic())
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = self._rate.take(monotonic())
        query = _read(wire)
        if isinstance(query, bytes) or query is None:
            reply = query
        else:
            reply = self._answer_at_once(query) or await self._answer(query)
        if reply is None:
            return False
        async with asyncio.timeout(self._stream_idle_s):
            await asyncio.get_running_loop().sock_sendall(stream, len(reply).to_bytes(2, "big") + reply)
        return True

    # --- both -------------------------------------------------------------------------------------------------------

    def _answer_at_once(self, query: Query, *max_bytes: int) -> bytes | None:
        try:
            reply = self._desk.answer_at_once(query)
            return None if reply is None else to_wire(reply, *max_bytes)
        except Exception:
            _logger.exception("%s", _shown(query))
            return to_wire(failure(query))

    async def _answer(self, query: Query, *max_bytes: int) -> bytes:
        try:
            return to_wire(await self._desk.answer(query), *max_bytes)
        except Exception:
            _logger.exception("%s", _shown(query))
            return to_wire(failure(query))

    def _pause(self, sock: socket.socket, on_readable: Callable[[], None], pause_s: float) -> None:
        """Let what arrives at ``sock`` wait in the kernel."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        self._pauses[sock] = loop.call_later(pause_s, loop.add_reader, sock.fileno(), on_readable)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(spawn(work, name="answer a name", on_done=self._tasks.discard))


def _shown(query: Query) -> str:
    return f"a question could not be answered: {str(query.name)[:80]!r}"


def _read(wire: bytes) -> Query | bytes | None:
    """Return the question, or the reply to what is none, or None when there is nothing to say."""
    try:
        return parse_query(wire)
    except NotAQuery:
        return None
    except Unanswerable as exc:
        return exc.reply


async def _read_exactly(stream: socket.socket, count: int) -> bytes:
    """Return ``count`` bytes.

    Raises:
        EOFError: the client ended.
    """
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < count:
        chunk = await loop.sock_recv(stream, count - len(received))
        if not chunk:
            raise EOFError
        received += chunk
    return received
