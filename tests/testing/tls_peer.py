"""A TLS server's end for tests, over a plain socket: unlike asyncio's it can half-close and be cut anywhere."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, Literal, Self

import trustme

from longshore.core.tls_options import TlsOptions

if TYPE_CHECKING:
    from types import TracebackType

    from tests.testing.raw import RawPeer

__all__ = ["CA", "NAME", "TRUST", "TlsPeer", "TlsVersion", "client_context", "server_context"]

TlsVersion = Literal["TLSv1.2", "TLSv1.3"]
NAME: Final = "server.example"
MAX_RECORD_BYTES: Final = 16 * 1024
CA: Final = trustme.CA()
TRUST: Final = TlsOptions(ca=CA.cert_pem.bytes())
_IDENTITY: Final = CA.issue_cert(NAME)
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def server_context(version: TlsVersion = "TLSv1.3") -> ssl.SSLContext:
    """Return a context with a certificate for ``NAME`` that speaks exactly this version."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = context.maximum_version = _VERSIONS[version]
    _IDENTITY.configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Return a context that trusts ``CA``."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


class TlsPeer:
    """The server's end of a TLS connection; fulfils ``longshore.testing.StreamPeer`` after ``handshake()``."""

    def __init__(self, raw: RawPeer, context: ssl.SSLContext) -> None:
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.ciphertext_bytes = 0  # how much there is to send in all; the wire may have taken less
        self.records: list[tuple[int, int]] = []  # where each ends: in the ciphertext, in the plaintext
        self.has_ended = False  # close_notify is in the ciphertext

    async def handshake(self) -> None:
        while True:
            try:
                self.ssl.do_handshake()
            except ssl.SSLWantReadError:
                await self._push()
                await self._pull()
            else:
                await self._push()
                return

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        sent_bytes = self.records[-1][1] if self.records else 0
        while rest:
            count = self.ssl.write(rest[:MAX_RECORD_BYTES])
            rest = rest[count:]
            sent_bytes += count
            self.records.append((self.ciphertext_bytes + self.outgoing.pending, sent_bytes))
        await self._push()

    async def send_eof(self) -> None:
        """Send close_notify and FIN."""
        try:
            self.ssl.unwrap()
        except ssl.SSLWantReadError:
            pass  # sent; the client has not ended its direction yet
        self.has_ended = True
        await self._push()
        await self.raw.send_eof()

    async def receive(self) -> bytes:
        """Return at least one byte, ``b""`` after close_notify; raise ConnectionError at any other end."""
        while True:
            try:
                return self.ssl.read(65536)
            except ssl.SSLWantReadError:
                await self._pull()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError as exc:
                raise ConnectionError("the connection ended without close_notify") from exc

    async def receive_until_end(self) -> tuple[bytes, str]:
        """Return everything, and ``"eof"``, ``"reset"`` or ``"truncated"``."""
        received = bytearray()
        try:
            while data := await self.receive():
                received += data
        except ConnectionResetError:
            return bytes(received), "reset"
        except ConnectionError:
            return bytes(received), "truncated"
        return bytes(received), "eof"

    def plaintext_bytes_in(self, ciphertext_bytes: int) -> int:
        """Return how much of what was sent can be decrypted from the first so many bytes on the wire."""
        return max((plain for cipher, plain in self.records if cipher <= ciphertext_bytes), default=0)

    def close(self) -> None:
        self.raw.close()

    def abort(self) -> None:
        self.raw.abort()

    async def _push(self) -> None:
        if data := self.outgoing.read():
            self.ciphertext_bytes += len(data)
            await self.raw.send(data)

    async def _pull(self) -> None:
        if data := await self.raw.receive():
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
