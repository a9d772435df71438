"""Real HTTP/1.1 servers on the loopback, in the loop of the test: an application, and a proxy for CONNECT."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import struct
from typing import TYPE_CHECKING, Self

import h11

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

__all__ = ["HttpApp", "HttpProxy"]

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class _Server:
    """Accepts connections, and ends them all when the block is left.

    Args:
        context: speak TLS with it.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection_count = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass  # the client broke off, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError


class HttpApp(_Server):
    """The application of ``http-socket-test.js``, and what else the tests ask for."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request, body = await _receive_request(connection, reader)
            if request.target == b"/websocket":
                await self._websocket(request, reader, writer)
                return
            if request.target == b"/destroy":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if request.target == b"/drop":
                await asyncio.Event().wait()
            writer.write(_respond(connection, request, body))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                writer.close()
                await writer.wait_closed()
                return
            connection.start_next_cycle()

    async def _websocket(
        self, request: h11.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Echo text frames until the client closes (RFC 6455 §5)."""
        accept = base64.b64encode(hashlib.sha1(dict(request.headers)[b"sec-websocket-key"] + WEBSOCKET_GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while True:
            first, length = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(length & 127)))
            writer.write(bytes([first, len(payload)]) + payload)
            if first == 0x88:
                writer.close()
                await writer.wait_closed()
                return


class HttpProxy(_Server):
    """Answers CONNECT with a tunnel, and nothing else.

    Args:
        context: speak TLS with it.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.targets: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        assert method == "CONNECT"
        self.targets.append(target)
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            if writer.is_closing():
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(_relay(reader, far_writer))
                group.create_task(_relay(far_reader, writer))
        except* OSError:
            pass
        finally:
            far_writer.transport.abort()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        if writer.is_closing():  # uvloop raises RuntimeError where asyncio drops the bytes
            return
        writer.write(data)
        await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _receive_request(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            return request, bytes(body)
        else:
            raise ConnectionResetError("the client has left")


def _respond(connection: h11.Connection, request: h11.Request, body: bytes) -> bytes:
    status, headers, content = _answer(request, body)
    headers.append(("content-length", str(len(content))))
    parts = (h11.Response(status_code=status, headers=headers), h11.Data(data=content), h11.EndOfMessage())
    return b"".join(connection.send(part) or b"" for part in parts)


def _answer(request: h11.Request, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    match request.target.decode():
        case "/ping":
            return 200, [], b"pong"
        case "/json":
            message = {"message": "Hello from HTTP socket server"}
            return 200, [("content-type", "application/json")], json.dumps(message).encode()
        case "/echo":
            return 200, [], body
        case "/headers":
            sent = {name.decode(): value.decode() for name, value in request.headers}
            return 200, [], json.dumps(sent).encode()
        case "/error":
            return 500, [], b"Internal Server Error"
        case "/redirect":
            return 301, [("location", "/ping")], b""
        case "/last":
            return 200, [("connection", "close")], b"bye"
        case _:
            return 404, [], b"Not Found"
