"""``Socket``: what ``connect()`` returns (WinterTC Sockets API, *The Socket class*)."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.errors import ConnectTimeout, UsageError
from longshore.sockets._asyncio_streams import asyncio_streams
from longshore.sockets._channel import Channel
from longshore.sockets._lease import Lease
from longshore.sockets._lifecycle import State
from longshore.sockets._options import SocketOptions, check_close_timeout, start_tls_options
from longshore.sockets._readable import ReadableStream
from longshore.sockets._writable import WritableStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any, Self

    import anyio.abc

    from longshore.abc import Connection, Dialer
    from longshore.aio.promise import Promise
    from longshore.core.addresses import SocketAddress
    from longshore.core.info import SocketInfo
    from longshore.sockets._options import SecureTransport

__all__ = ["Socket"]

DEFAULT_CLOSE_TIMEOUT_S = 30.0
DEFAULT_LINE_LIMIT_BYTES = 64 * 1024  # as in asyncio


class Socket:
    """A TCP socket, plain or TLS; made by ``connect()`` and ``start_tls()`` only.

    ``async with`` closes it at the end of the block, and aborts it when an exception leaves the block. An error that
    ended the socket inside the block is raised at its end only if no call in the block has raised it. If something was
    written and the connection is not up yet, the end of the block waits for it.
    """

    __slots__ = ("_channel", "_dialer", "_lease", "_readable", "_upgraded", "_writable")

    def __init__(self, channel: Channel, dialer: Dialer, lease: Lease) -> None:
        self._channel = channel
        self._dialer = dialer
        self._lease = lease
        self._readable: ReadableStream | None = None
        self._writable: WritableStream | None = None
        self._upgraded = False

    # -- attributes ------------------------------------------------------------------------------

    @property
    def readable(self) -> ReadableStream:
        """What the peer sends."""
        if self._readable is None:
            self._readable = ReadableStream(self._channel.reading, self._lease)
        return self._readable

    @property
    def writable(self) -> WritableStream:
        """What is sent to the peer; it takes bytes at once, before the connection is up."""
        if self._writable is None:
            self._writable = WritableStream(self._channel, self._lease)
        return self._writable

    @property
    def opened(self) -> Promise[SocketInfo]:
        """Resolves when the connection (with ``secure_transport="on"``: the handshake) is done; rejects if it fails."""
        return self._channel.opened

    @property
    def closed(self) -> Promise[None]:
        """Resolves when both directions ended cleanly or ``close()`` finished; rejects with what else ended it.

        ``docs/reference/socket-lifecycle.md`` has the whole table (rule K6).
        """
        return self._channel.closed

    @property
    def upgraded(self) -> bool:
        """True once ``start_tls()`` has moved the connection to another ``Socket``."""
        return self._upgraded

    @property
    def secure_transport(self) -> SecureTransport:
        """``"off"``, ``"on"`` or ``"starttls"``."""
        return self._channel.options.secure_transport

    @property
    def address(self) -> SocketAddress:
        """Where it was told to connect."""
        return self._channel.address

    # -- ending ----------------------------------------------------------------------------------

    def close(self, reason: object = None, *, timeout_s: float | None = DEFAULT_CLOSE_TIMEOUT_S) -> Promise[None]:
        """Flush what was written, then close; while connecting, stop connecting at once (rule K8).

        Pending and later reads and writes raise ``ClosedError``. Calling it again does nothing.

        Args:
            reason: kept in the ``ClosedError``.
            timeout_s: how long flushing may take before the connection is reset; None for no bound.

        Returns:
            The same promise as ``closed``. Awaiting it is optional. It rejects with ``ClosedError`` when bytes
            could not be flushed in time, and with the failure that had ended the socket before.
        """
        check_close_timeout(timeout_s)
        self._channel.close(reason, timeout_s)
        return self._channel.closed

    def abort(self, reason: object = None) -> None:
        """Reset the connection now and drop what was not sent; ``closed`` rejects with ``ClosedError``."""
        self._channel.abort(reason)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        channel = self._channel
        if error is not None:
            channel.abort(error)
        elif channel.lifecycle.is_finished and (channel.is_error_told or channel.opened.was_raised):
            channel.release_unread()  # the block has been told what happened, and went on
        elif not self._upgraded:
            if channel.lifecycle.state is State.CONNECTING and channel.writing.queue.size_bytes:
                await channel.opened  # what the block has written is not to be lost
            await self.close()

    # -- TLS -------------------------------------------------------------------------------------

    def start_tls(
        self,
        *,
        sni: str | None = None,
        alpn: tuple[str, ...] | list[str] | None = None,
        tls: TlsOptions | None = None,
        timeout_s: float | None = None,
    ) -> Socket:
        """Upgrade the connection to TLS and return the socket to go on with (rule K9).

        What was written before is flushed, in plaintext. This socket is then over: ``upgraded`` is True
        and ``closed`` resolves. The new one's ``opened`` resolves when the handshake is done, and
        takes early writes like any other. Bytes the peer sent before the handshake are refused: it
        fails, because somebody in between may have injected them.

        Args:
            sni: name to verify and to send, instead of the one given to ``connect()``.
            alpn: protocols to offer, instead of those given to ``connect()``.
            tls: trust and identity, instead of those given to ``connect()``.
            timeout_s: bound on the handshake; None for the ``connect_timeout_s`` given to ``connect()``.

        Raises:
            UsageError: wrong mode, upgraded before, closed, a stream is locked or ended, or a read or write is pending;
                nothing has changed then.
            ArgumentTypeError, ArgumentValueError: an argument is wrong; nothing has changed then.
        """
        options = start_tls_options(self._channel.options, sni=sni, alpn=alpn, tls=tls, timeout_s=timeout_s)
        self._check_upgradable()
        return make_socket(self.address, options, self._dialer, self._give_up(options), self._channel)

    def _start_tls_anywhere(self, *, sni: str | None, tls: TlsOptions, timeout_s: float | None) -> Socket:
        """Start TLS as ``start_tls()`` does, but also inside TLS: the way through an HTTPS proxy; for adapters."""
        if self.secure_transport != "on":
            return self.start_tls(sni=sni, alpn=(), tls=tls, timeout_s=timeout_s)
        options = start_tls_options(self._channel.options, sni=sni, alpn=(), tls=tls, timeout_s=timeout_s)
        self._check_going_on()
        return make_socket(self.address, options, self._dialer, self._give_up(options), self._channel)

    def _give_up(self, options: SocketOptions) -> Callable[[], Coroutine[Any, Any, Connection]]:
        """Hand the connection over, and return what makes the handshake on it."""
        handover = self._channel.hand_over()
        self._upgraded = True
        return partial(_upgrade, self._channel, handover, self._dialer, tls_request(self.address, options))

    def _check_upgradable(self) -> None:
        mode = self.secure_transport
        if mode == "on":
            raise UsageError("cannot start TLS on a socket that speaks TLS already")
        if mode != "starttls":
            raise UsageError("start_tls() needs connect(..., secure_transport='starttls'); this socket has 'off'")
        self._check_going_on()

    def _check_going_on(self) -> None:
        if self._upgraded:
            raise UsageError("start_tls() was called before: use the socket that it returned")
        if self._channel.lifecycle.state not in (State.CONNECTING, State.OPEN):
            raise UsageError("cannot start TLS: the socket is closed, or one of its directions has ended")
        self._check_streams_free()

    def _check_streams_free(self) -> None:
        reading, writing = self._channel.reading, self._channel.writing
        if (self._readable is not None and self._readable.locked) or (
            self._writable is not None and self._writable.locked
        ):
            raise UsageError("cannot start TLS while a stream is locked: release_lock() its reader or writer first")
        if reading.is_pending or writing.is_pending:
            raise UsageError("cannot start TLS while a read or a write is pending: await it first")
        if reading.cancelled or writing.ending or writing.error is not None:
            raise UsageError("cannot start TLS: one direction of the socket was cancelled, closed or aborted")

    # -- for programs that take something else ---------------------------------------------------

    def as_asyncio_streams(
        self, *, limit_bytes: int = DEFAULT_LINE_LIMIT_BYTES
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the pair that ``asyncio.open_connection()`` would, connected or not yet; it locks both streams.

        It keeps this socket's promises: bytes are pulled, a failure is an exception and never an end-of-file
        (rule K5), ``write_eof()`` works under TLS. The socket's options go on to apply: without
        ``allow_half_open=True`` the peer's end-of-file closes the write side too, unlike in asyncio.

        Args:
            limit_bytes: the longest line, *limit* in asyncio.

        Raises:
            UsageError: a stream is locked or in use, or the socket was upgraded.
            ArgumentValueError: ``limit_bytes`` is not at least 1.
        """
        return asyncio_streams(self, limit_bytes)

    def as_anyio_stream(self) -> anyio.abc.ByteStream:
        """Return an ``anyio.abc.ByteStream``, connected or not yet; it locks both streams.

        Errors are anyio's, with ours as their cause: ``EndOfStream``, ``BrokenResourceError``, ``ClosedResourceError``
        when this side has closed, ``BusyResourceError``.

        Raises:
            UsageError: a stream is locked or in use, or the socket was upgraded.
            ImportError: anyio is not installed.
        """
        from longshore.sockets._anyio_stream import AnyioStream  # noqa: PLC0415 - anyio is an optional extra

        return AnyioStream(self)

    def __repr__(self) -> str:
        state = self._channel.lifecycle.state.name.lower().replace("_", " ")
        return f"<Socket to {self.address}, TLS {self.secure_transport}, {state}>"


def make_socket(
    address: SocketAddress,
    options: SocketOptions,
    dialer: Dialer,
    dial: Callable[[], Coroutine[Any, Any, Connection]],
    upgraded_from: Channel | None = None,
) -> Socket:
    """Return a socket that connects with ``dial``; the caller's caller is named if it is never closed."""
    abandoned = None if upgraded_from is None else upgraded_from.discard_handover
    channel = Channel(address, options, dial, abandoned)
    return Socket(channel, dialer, Lease(channel, sys._getframe(2)))


def tls_request(address: SocketAddress, options: SocketOptions) -> TlsRequest:
    """Return the handshake that ``options`` ask for."""
    return TlsRequest(
        server_name=options.sni or address.server_name,
        alpn=options.alpn,
        options=options.tls or TlsOptions(),
        timeout_s=options.connect_timeout_s,
    )


async def _upgrade(old: Channel, handover: Promise[Connection], dialer: Dialer, tls: TlsRequest) -> Connection:
    """Wait until ``old`` has flushed, then make the handshake; ``tls.timeout_s`` bounds both together."""
    timeout = asyncio.timeout(tls.timeout_s)
    try:
        async with timeout:
            connection = await handover
            return await dialer.start_tls(connection, replace(tls, timeout_s=None))
    except TimeoutError as exc:
        if tls.timeout_s is None or not timeout.expired():
            raise
        phase = "during the TLS handshake" if handover.done() else "while what was written before it was flushed"
        old.discard_handover()
        raise ConnectTimeout(
            f"no TLS with {old.address} within {tls.timeout_s} s: time ran out {phase}",
            address=str(old.address),
            during="tls",
            timeout_s=tls.timeout_s,
        ) from exc
