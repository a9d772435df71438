"""``WritableStream`` and its writer (WHATWG Streams §5, in Python spelling; rule K15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.errors import ArgumentTypeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from longshore.aio.promise import Promise
    from longshore.sockets._channel import Channel
    from longshore.sockets._write_side import WriteSide

__all__ = ["Chunk", "WritableStream", "WritableStreamWriter"]

Chunk = bytes | bytearray | memoryview | str
"""What can be written; a str is sent as UTF-8."""


class WritableStream:
    """Bytes to send. Write it directly, or lock it with ``get_writer()``."""

    __slots__ = ("_channel", "_keep", "_side", "_writer")

    def __init__(self, channel: Channel, keep: object) -> None:
        self._channel = channel
        self._side = channel.writing
        self._keep = keep
        self._writer: object = None

    @property
    def locked(self) -> bool:
        """True while a writer or a pipe has it."""
        return self._writer is not None

    def write(self, data: Chunk) -> Coroutine[Any, Any, None]:
        """Write ``data``, also before the connection is up.

        It returns when the bytes are accepted and less than the high-water mark waits to be sent, so that a writer
        who outruns the peer waits (rule K12).

        Raises:
            ArgumentTypeError: ``data`` is no bytes-like object and no str; the stream is unharmed.
            UsageError: the stream is locked.
            SocketError: what ended the connection or the write side.

        Cancellation: safe; the chunk was accepted whole or not at all.
        """
        if self._writer is not None:
            raise _locked()
        return self._side.write(data if data.__class__ is bytes else _as_bytes(data))

    def get_writer(self) -> WritableStreamWriter:
        """Lock the stream and return the only object that may write it.

        Raises:
            UsageError: it is locked, or a write is pending.
        """
        self._check_free()
        # The lock is a token: stream and writer must not keep each other, and so the socket, alive.
        self._writer = object()
        return WritableStreamWriter(self, self._writer)

    async def close(self) -> None:
        """Flush, then end the write direction with FIN (close_notify under TLS); reading goes on.

        Raises:
            UsageError: the stream is locked.
            SocketError: the bytes could not all be sent.

        Cancellation: safe; flushing goes on.
        """
        if self._writer is not None:
            raise _locked()
        await self._close()

    async def abort(self, reason: object = None) -> None:
        """Drop what is queued. TCP cannot say that in one direction, so the connection will end with a reset.

        Raises:
            UsageError: the stream is locked.

        Cancellation: safe.
        """
        if self._writer is not None:
            raise _locked()
        self._channel.abort_write(reason)

    # -- for pipes and writers -------------------------------------------------------------------

    def _check_free(self) -> None:
        if self._writer is not None:
            raise _locked()
        if self._side.is_pending:
            raise UsageError("a write is pending on this writable stream: await it first")

    def _unlock(self, lock: object) -> None:
        if self._writer is lock:
            self._writer = None

    async def _close(self) -> None:
        self._channel.end_write()
        await self._side.closed


class WritableStreamWriter:
    """The only one that may write its stream until ``release_lock()``."""

    __slots__ = ("_lock", "_side", "_stream")

    def __init__(self, stream: WritableStream, lock: object) -> None:
        self._lock = lock
        self._stream: WritableStream | None = stream
        self._side: WriteSide = stream._side

    @property
    def closed(self) -> Promise[None]:
        """Resolves when everything is flushed and FIN is sent; rejects with what else ended the writing."""
        return self._side.closed

    @property
    def desired_size(self) -> int:
        """Bytes that may be written before ``write()`` waits; 0 or less means that it would."""
        return self._side.desired_size

    @property
    def ready(self) -> Ready:
        """Awaitable: ``desired_size`` is above 0. It says nothing about being connected; that is ``opened``."""
        return Ready(self._side)

    def write(self, data: Chunk) -> Coroutine[Any, Any, None]:
        """Write as ``WritableStream.write`` does."""
        if self._stream is None:
            raise _released()
        return self._side.write(data if data.__class__ is bytes else _as_bytes(data))

    async def close(self) -> None:
        """End the write direction; see ``WritableStream.close``.

        Cancellation: safe; flushing goes on.
        """
        await self._held()._close()

    async def abort(self, reason: object = None) -> None:
        """Drop what is queued; see ``WritableStream.abort``.

        Cancellation: safe.
        """
        self._held()._channel.abort_write(reason)

    def release_lock(self) -> None:
        """Give the stream back; calling it again does nothing.

        Raises:
            UsageError: a write is pending.
        """
        if self._stream is None:
            return
        if self._side.is_pending:
            raise UsageError("cannot release the lock of a writer with a pending write: await it first")
        self._stream._unlock(self._lock)
        self._stream = None

    def _held(self) -> WritableStream:
        if self._stream is None:
            raise _released()
        return self._stream


class Ready:
    """Waits each time it is awaited; creating it and not awaiting it costs nothing."""

    __slots__ = ("_side",)

    def __init__(self, side: WriteSide) -> None:
        self._side = side

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for room.

        Raises:
            SocketError: what ended the write side.

        Cancellation: safe.
        """
        return self._side.wait_ready().__await__()


def _as_bytes(data: object) -> bytes | bytearray | memoryview:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray)):
        return data
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]  # TypeError is the answer for what is no buffer
    except TypeError as exc:
        raise ArgumentTypeError(
            f"cannot write a {type(data).__name__}: give bytes, bytearray, memoryview or str (sent as UTF-8)"
        ) from exc


def _locked() -> UsageError:
    return UsageError("this writable stream is locked: use its writer, or release_lock() first")


def _released() -> UsageError:
    return UsageError("this writer was released: call get_writer() again")
