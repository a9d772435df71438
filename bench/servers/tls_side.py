"""The server's side of TLS over a blocking socket, as a ``MemoryBIO`` pair.

An ``SSLSocket`` makes two system calls for every record of 16 KiB it reads; with the BIO in between one call
moves 256 KiB, so that the server is not what a bulk transfer measures.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["RECORD_BYTES", "TlsSide", "server_context"]

T = TypeVar("T")

RECORD_BYTES = 16 * 1024
"""The most plaintext one record holds (RFC 8446 §5.1), and the most that one ``read`` returns."""
_CHUNK_BYTES = 256 * 1024


def server_context(certificate: str, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a context that speaks one version only and sends no session tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.minimum_version = context.maximum_version = version
    context.num_tickets = 0  # a ticket is a flight nobody waits for
    return context


class TlsSide:
    """One connection; ``flushes`` counts how often something was sent."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._buffer = memoryview(bytearray(_CHUNK_BYTES))
        self._record = bytearray(RECORD_BYTES)
        # typeshed knows the form without a buffer only, which returns bytes
        self._read_record = cast("Callable[[int, bytearray], int]", self._tls.read)
        self.flushes = 0

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.flushes += 1
            self._connection.sendall(self._outgoing.read())

    def _feed(self) -> None:
        got = self._connection.recv_into(self._buffer)
        if not got:
            raise ConnectionError("the client went away")
        self._incoming.write(self._buffer[:got])

    def _retry(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()

    def handshake(self) -> None:
        """Make the handshake and send what is left of it."""
        self._retry(self._tls.do_handshake)
        self._flush()

    def read(self) -> memoryview:
        """Return what one record carried, waiting for it; valid until the next call."""
        got = self._retry(partial(self._read_record, RECORD_BYTES, self._record))
        return memoryview(self._record)[:got]

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt and send all of it."""
        self._tls.write(data)
        self._flush()

    def close(self) -> None:
        """Send close_notify, then wait until the client has closed, so that nothing is reset."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        while self._connection.recv_into(self._buffer):
            pass
