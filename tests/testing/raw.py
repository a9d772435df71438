"""Plain sockets for tests: a peer with coroutines, and a server that hands its peers out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RawPeer", "RawServer", "data_segments_received"]

DATA_SEGS_IN_OFFSET = 152  # tcpi_data_segs_in in struct tcp_info (include/uapi/linux/tcp.h)


class RawPeer:
    """A connected non-blocking socket; fulfils ``longshore.testing.StreamPeer``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    @classmethod
    async def connect(cls, address: str) -> Self:
        host, _, port = address.rpartition(":")
        sock = socket.socket()
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send_eof(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, 65536)

    async def receive_exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            data = await asyncio.get_running_loop().sock_recv(self.sock, count - len(received))
            assert data, f"end-of-file after {len(received)} of {count} bytes"
            received += data
        return bytes(received)

    async def receive_until_end(self) -> tuple[bytes, str]:
        """Return everything, and ``"eof"`` or ``"reset"``."""
        received = bytearray()
        try:
            while data := await self.receive():
                received += data
        except ConnectionResetError:
            return bytes(received), "reset"
        return bytes(received), "eof"

    def close(self) -> None:
        self.sock.close()

    def abort(self) -> None:
        if self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RawServer:
    """A listening socket on the loopback."""

    def __init__(self, *, receive_buffer_bytes: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer_bytes is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen()
        host, port = self.sock.getsockname()
        self.address = f"{host}:{port}"

    async def accept(self) -> RawPeer:
        sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
        return RawPeer(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


def data_segments_received(sock: socket.socket) -> int:
    """Return how many TCP segments with data the kernel has received on this connection (Linux)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("=I", info, DATA_SEGS_IN_OFFSET)[0])
