"""``TlsStream``: client TLS over any ``ByteStream``, pumped through two ``ssl.MemoryBIO``.

Why not asyncio's own TLS: its ``start_tls`` loses bytes that were already buffered, and it cannot half-close.
Theory of operation:

    owner ── plaintext ── SSLObject ── incoming BIO ◄── inner.try_read
                                    └─ outgoing BIO ──► _unsent ──► inner.try_write

* Reading pulls ciphertext only when OpenSSL has nothing left to decrypt: at most one inner read is held.
* Writing encrypts a batch, then sends it with one inner write. What the inner stream does not accept stays in
  ``_unsent``, and nothing more is encrypted until that is gone: memory is bounded by one batch.
* The outgoing BIO is sent *together with* the next batch. So the client's Finished and the first application
  data leave in one segment (rule K2), and ``flush()`` sends it when there is no data to wait for.
* OpenSSL writes on its own account while reading (KeyUpdate, alerts): after a read the outgoing BIO is pushed.

Rules that must not be broken:

1. End-of-file is reported only after the peer's close_notify (rule K5); TCP's alone is truncation.
2. ``SSL_shutdown`` must never see application data: it would discard it. See ``_send_close_notify``.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, NoReturn

from longshore.aio.waiter import Waiter
from longshore.errors import LimitExceeded, SocketError, TlsError
from longshore.net.tls_errors import map_tls_error, truncated

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

    from longshore.abc import ByteStream, StreamOwner

__all__ = ["TlsStream"]

# Four times the read size would not be faster, a sixteenth would cost a system call for each record.
BATCH_BYTES = 256 * 1024
MAX_RECORD_BYTES = 16 * 1024  # RFC 8446 §5.1
# What OpenSSL may have written by itself (an answered KeyUpdate is 27 bytes) and the peer has not taken.
MAX_ANSWERS_BYTES = 64 * 1024


class TlsStream:
    """A TLS client as a byte stream; usable after ``handshake()``.

    Args:
        inner: carries the ciphertext; this stream owns it from now on.
        context: a client context.
        server_name: name or IP literal that the certificate must match.
        address: the peer, for error messages.
    """

    __slots__ = (
        "_address",
        "_close_notify_sent",
        "_error",
        "_handshake_waiter",
        "_incoming",
        "_inner",
        "_is_announcing",
        "_outgoing",
        "_owner",
        "_plain",
        "_ssl",
        "_unsent",
    )

    def __init__(self, inner: ByteStream, context: ssl.SSLContext, server_name: str, address: str) -> None:
        self._inner = inner
        self._address = address
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Python sends SNI for names only and verifies an IP literal against the IP SANs (rule K11).
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name.rstrip("."))
        self._unsent = memoryview(b"")
        self._plain = b""
        self._owner: StreamOwner | None = None
        self._handshake_waiter: Waiter | None = Waiter()
        self._close_notify_sent = False
        self._is_announcing = False
        self._error: SocketError | None = None
        inner.set_owner(self)

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """Version, cipher, certificate and ALPN of the connection."""
        return self._ssl

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness; of what is here already, too."""
        self._owner = owner
        if owner is not None:
            self._inner.set_owner(self)  # what it announced while there was no owner is announced again
            self._announce_rest()

    # -- handshake -------------------------------------------------------------------------------

    async def handshake(self) -> None:
        """Make the handshake; its last flight is held back for the first write or ``flush()``.

        Raises:
            TlsError: refused by either side, not TLS, or cut off.
            ResetError: the connection broke.

        Cancellation: the stream must be aborted afterwards.
        """
        assert self._handshake_waiter is not None
        while not self._try_handshake():
            self._push()
            while not self._pull("tls"):
                await self._handshake_waiter
        self._handshake_waiter = None

    def _try_handshake(self) -> bool:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as exc:
            self._fail(exc, "tls")
        return True

    # -- reading ---------------------------------------------------------------------------------

    def try_read(self, max_bytes: int) -> bytes | None:
        """Decrypt at most one record; see ``ByteStream.try_read``."""
        if self._plain:
            taken, self._plain = self._plain[:max_bytes], self._plain[max_bytes:]
            self._announce_rest()
            return taken
        while True:
            data = self._decrypt(max_bytes)
            if data:
                self._announce_rest()
                return data
            if data is not None or not self._pull("read"):
                return data

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Decrypt into the caller's memory as many records as fit; see ``ByteStream.try_read_into``."""
        if self._plain:
            taken, self._plain = self._plain[: len(buffer)], self._plain[len(buffer) :]
            buffer[: len(taken)] = taken
            self._announce_rest()
            return len(taken)
        filled = 0
        while True:
            try:
                count = self._decrypt_into(buffer[filled:])
            except SocketError:
                if not filled:
                    raise
                return filled  # the error is remembered: it comes next
            if count:
                filled += count
                if len(buffer) - filled < MAX_RECORD_BYTES:
                    self._announce_rest()
                    return filled
            elif count == 0 or filled:
                return filled
            elif not self._pull("read"):
                return None

    def _announce_rest(self) -> None:
        """Let the owner look again when there is more in here: of that the inner stream knows nothing (rule K7)."""
        if self._incoming.pending and not self._is_announcing:
            self._is_announcing = True
            asyncio.get_running_loop().call_soon(self._announce)

    def _announce(self) -> None:
        self._is_announcing = False
        if self._owner is not None and (self._plain or self._incoming.pending):
            self._owner.on_readable()

    def peek(self) -> bool | None:
        """Decrypt at most one record and keep it; see ``ByteStream.peek``."""
        if not self._plain:
            data = self.try_read(MAX_RECORD_BYTES)
            if data is None:
                return None
            self._plain = data
        return bool(self._plain)

    def _decrypt(self, max_bytes: int) -> bytes | None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        try:
            data = self._ssl.read(min(max_bytes, MAX_RECORD_BYTES))  # OpenSSL allocates what it is asked for
        except ssl.SSLWantReadError:
            data = None
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as exc:
            self._fail(exc, "read")
        if self._outgoing.pending:
            self._answer(has_data=bool(data))
        return data

    def _decrypt_into(self, buffer: memoryview) -> int | None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        count: int | None
        try:
            count = self._ssl.read(len(buffer), buffer)  # type: ignore[assignment]  # typeshed wants a bytearray
        except ssl.SSLWantReadError:
            count = None
        except ssl.SSLZeroReturnError:
            count = 0
        except ssl.SSLError as exc:
            self._fail(exc, "read")
        if self._outgoing.pending:
            self._answer(has_data=bool(count))
        return count

    def _answer(self, *, has_data: bool) -> None:
        """Send what OpenSSL has written on its own account; a peer that floods and takes no answer is cut off.

        Args:
            has_data: bytes were decrypted just before; a failure waits for the next call, which meets it again.
        """
        try:
            pushed = self._push()
        except SocketError:
            if not has_data:
                raise
            return
        if not pushed and self._outgoing.pending > MAX_ANSWERS_BYTES:
            self._error = LimitExceeded(
                f"TLS read with {self._address} failed: the peer asks for KeyUpdates and does not take the answers",
                address=self._address,
                limit="unsent TLS answers in bytes",
                value=MAX_ANSWERS_BYTES,
            )
            if not has_data:
                raise self._error

    def _pull(self, during: str) -> bool:
        """Move one piece of ciphertext inwards; False when there is none yet."""
        data = self._inner.try_read(BATCH_BYTES)
        if data is None:
            return False
        if data:
            self._incoming.write(data)
        elif self._incoming.eof:
            raise truncated(None, self._address, during)
        else:
            self._incoming.write_eof()
        return True

    # -- writing ---------------------------------------------------------------------------------

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Encrypt and send the front of ``data``; see ``ByteStream.try_write``."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._unsent and not self._push():
            return 0
        if len(data) <= MAX_RECORD_BYTES:
            accepted = self._encrypt(data)
            self._push()
            return accepted
        view = memoryview(data)
        accepted = 0
        while accepted < len(view):
            accepted += self._encrypt_batch(view[accepted : accepted + BATCH_BYTES])
            if not self._push():
                break
        return accepted

    def _encrypt_batch(self, view: memoryview) -> int:
        done = 0
        while done < len(view):
            done += self._encrypt(view[done:])
        return done

    def _encrypt(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._ssl.write(data)
        except ssl.SSLError as exc:
            self._fail(exc, "write")

    def flush(self) -> bool:
        """Send what is held back: the last handshake flight, or records that did not fit."""
        return self._push()

    def _push(self) -> bool:
        """Send ciphertext; False when the inner stream is full and some is left."""
        while True:
            if not self._unsent:
                if not self._outgoing.pending:
                    return True
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self._inner.try_write(self._unsent) :]
            if self._unsent:
                return False

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """Send close_notify, then the FIN; the peer's data can still be read (rule K10)."""
        if not self._close_notify_sent:
            self._close_notify_sent = True
            self._send_close_notify()
        return self._push() and self._inner.try_write_eof(closing=closing)

    def _send_close_notify(self) -> None:
        """Make OpenSSL write close_notify without letting it look at what the peer has sent.

        ``SSLObject.unwrap()`` calls ``SSL_shutdown`` twice, and the second call reads: application data that
        it meets is dropped with "application data after close notify". So what is decrypted is taken
        out first, and the ciphertext that waits is put aside during the call.
        """
        while self._ssl.pending():
            self._plain += self._ssl.read(self._ssl.pending())
        waiting = self._incoming.read()
        try:
            self._ssl.unwrap()
        except ssl.SSLError:
            pass  # SSLWantReadError: sent, and the peer has not ended its side
        if waiting:
            self._incoming.write(waiting)

    # -- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the connection; for a clean end call ``try_write_eof()`` first."""
        self._owner = None
        self._inner.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._owner = None
        self._inner.abort()

    def fileno(self) -> int:
        """Return the descriptor underneath."""
        return self._inner.fileno()

    @property
    def transport_socket(self) -> TransportSocket | None:
        """The socket underneath, if the inner stream has one."""
        found: TransportSocket | None = getattr(self._inner, "transport_socket", None)
        return found

    def _fail(self, exc: ssl.SSLError, during: str) -> NoReturn:
        """Remember and raise the error; the alert that tells the peer is sent if it can be."""
        self._error = map_tls_error(exc, self._address, during)
        try:
            self._push()
        except SocketError:
            pass  # the peer is gone: the first error is the one that counts
        raise self._error

    # -- readiness of the inner stream -----------------------------------------------------------

    def on_readable(self) -> None:
        """Ciphertext, FIN or an error arrived."""
        if self._handshake_waiter is not None:
            self._handshake_waiter.wake()
        elif self._owner is not None:
            self._owner.on_readable()

    def on_writable(self) -> None:
        """The inner stream takes bytes again."""
        try:
            pushed = self._push()
        except (SocketError, TlsError):
            pushed = True  # the owner meets the error at its next call
        if pushed and self._owner is not None:
            self._owner.on_writable()

    def on_broken(self, error: Exception) -> None:
        """The connection failed unread."""
        if self._handshake_waiter is not None:
            self._handshake_waiter.wake()
        elif self._owner is not None:
            self._owner.on_broken(error)
