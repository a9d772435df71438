"""``TlsPeer``: the server side of a TLS connection that a test steers record by record.

It is OpenSSL between two memory buffers, on a plain socket of the test: so the test decides what becomes
of every record that it makes (split, repeated, cut), and when.
"""

from __future__ import annotations

import contextlib
import ctypes
import ssl
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.testing.raw import RawPeer

__all__ = ["TlsEngine", "TlsPeer", "openssl"]

T = TypeVar("T")
_UPDATE_REQUESTED: Final = 1  # SSL_KEY_UPDATE_REQUESTED of openssl/ssl.h


class TlsEngine:
    """A TLS server without a socket: bytes in, bytes out."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def feed(self, data: bytes) -> None:
        """Take ciphertext; ``b""`` is the end of it."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def take(self) -> bytes:
        """Return the ciphertext that is to be sent."""
        return self._outgoing.read()

    def try_handshake(self) -> bool:
        """Return whether the handshake is done."""
        try:
            self.ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def records(self, data: bytes) -> bytes:
        """Return ``data`` encrypted."""
        rest = data
        while rest:
            rest = rest[self.ssl.write(rest) :]
        return self.take()

    def close_notify(self) -> bytes:
        """Return the alert that ends the direction."""
        with contextlib.suppress(ssl.SSLError):
            self.ssl.unwrap()
        return self.take()

    def key_update(self) -> bytes:
        """Return a KeyUpdate that asks for one in return (RFC 8446 §4.6.3)."""
        openssl("SSL_key_update", self.ssl, _UPDATE_REQUESTED)
        openssl("SSL_do_handshake", self.ssl)
        return self.take()

    def hello_request(self) -> bytes:
        """Return a HelloRequest, which begins a renegotiation (RFC 5246 §7.4.1.1)."""
        openssl("SSL_renegotiate", self.ssl)
        openssl("SSL_do_handshake", self.ssl)
        return self.take()


def openssl(function: str, ssl_object: ssl.SSLObject, *arguments: int) -> int:
    """Call a function of OpenSSL that the ``ssl`` module does not offer, on the ``SSL *`` of an object.

    In CPython's ``PySSLSocket`` (``Modules/_ssl.c``) it is behind the object's head and a pointer to the Python socket.
    """
    inner: Any = ssl_object._sslobj  # type: ignore[attr-defined]  # what typeshed does not know
    pointer = ctypes.c_void_p.from_address(id(inner) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))
    return int(getattr(_library(), function)(pointer, *arguments))


@lru_cache
def _library() -> ctypes.CDLL:
    import _ssl  # noqa: PLC0415 - only this trick needs it

    return ctypes.CDLL(_ssl.__file__)


class TlsPeer:
    """A ``TlsEngine`` on a socket; fulfils ``longshore.testing.StreamPeer``."""

    def __init__(self, raw: RawPeer, context: ssl.SSLContext) -> None:
        self.raw = raw
        self.engine = TlsEngine(context)
        self._send_error: ConnectionError | None = None

    async def handshake(self) -> None:
        """Answer the client's handshake.

        Raises:
            ssl.SSLError, ConnectionError: it failed.
        """
        await self._complete(self.engine.ssl.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        await self.raw.send(self.engine.records(data))

    async def send_close_notify(self) -> None:
        """End the direction, but leave TCP's open."""
        await self.raw.send(self.engine.close_notify())

    async def send_eof(self) -> None:
        """End the direction with close_notify and FIN."""
        await self.send_close_notify()
        await self.raw.send_eof()

    async def receive(self) -> bytes:
        """Return at least one byte, or ``b""`` after the client's close_notify.

        Raises:
            ssl.SSLEOFError: TCP ended without one.
        """
        try:
            return await self._complete(lambda: self.engine.ssl.read(65536))
        except ssl.SSLZeroReturnError:
            return b""

    async def receive_exactly(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        received = bytearray()
        while len(received) < count:
            data = await self._complete(partial(self.engine.ssl.read, count - len(received)))
            assert data, f"close_notify after {len(received)} of {count} bytes"
            received += data
        return bytes(received)

    async def receive_all(self) -> bytes:
        """Return everything up to the client's close_notify."""
        data, end = await self.receive_until_end()
        assert end == "eof"
        return data

    async def receive_until_end(self) -> tuple[bytes, str]:
        """Return everything, and ``"eof"``, ``"truncated"`` or ``"reset"``."""
        received = bytearray()
        try:
            while data := await self.receive():
                received += data
        except ssl.SSLEOFError:
            return bytes(received), "truncated"
        except ConnectionResetError:
            return bytes(received), "reset"
        return bytes(received), "eof"

    async def _complete(self, call: Callable[[], T]) -> T:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                await self._flush()
                self.engine.feed(await self._receive())
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if data := self.engine.take():
            try:
                await self.raw.send(data)
            except ConnectionError as exc:
                self._send_error = exc  # what the client sent before can still be read

    async def _receive(self) -> bytes:
        data = await self.raw.receive()
        if not data and self._send_error is not None:  # the kernel tells of a reset once, and it has told the sender
            raise ConnectionResetError from self._send_error
        return data

    def close(self) -> None:
        """Release the connection, without a close_notify."""
        self.raw.close()

    def abort(self) -> None:
        """Reset the connection."""
        self.raw.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
