"""``ReadableStream`` and its reader (WHATWG Streams §4, in Python spelling; rule K15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from longshore.errors import ArgumentTypeError, ArgumentValueError, UsageError
from longshore.sockets._pipe import pipe
from longshore.sockets._tee import tee_sources

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from longshore.aio.abort import AbortSignal
    from longshore.aio.promise import Promise
    from longshore.sockets._writable import WritableStream

__all__ = ["ReadSource", "ReadableStream", "ReadableStreamReader", "source_of", "split"]

DEFAULT_READ_BYTES = 65536


class ReadSource(Protocol):
    """What a readable stream reads from: a socket, or one branch of a ``tee()``."""

    @property
    def closed(self) -> Promise[None]:
        """Resolves at the end, rejects with what else ended the reading."""

    @property
    def is_pending(self) -> bool:
        """True while a read waits."""

    def read(self, max_bytes: int) -> Coroutine[Any, Any, bytes]:
        """Return 1..max_bytes bytes, or ``b""`` at end-of-file."""

    def read_into(self, buffer: memoryview) -> Coroutine[Any, Any, int]:
        """Fill the front of ``buffer``; 0 at end-of-file."""

    def cancel(self, reason: object) -> None:
        """Lose interest."""


class ReadableStream:
    """Bytes that arrive. Read it directly, or lock it with ``get_reader()``; ``async for`` gives the chunks.

    A failure is never reported as end-of-file (rule K5): every reading call raises what ended the connection.
    """

    __slots__ = ("_keep", "_reader", "_source")

    def __init__(self, source: ReadSource, keep: object = None) -> None:
        self._source = source
        # Whatever must stay alive as long as this stream does: the lease of its socket.
        self._keep = keep
        self._reader: object = None

    @property
    def locked(self) -> bool:
        """True while a reader, a pipe or a tee has it."""
        return self._reader is not None

    def read(self, max_bytes: int = DEFAULT_READ_BYTES) -> Coroutine[Any, Any, bytes]:
        """Read what is there, or wait for it.

        Args:
            max_bytes: upper bound of the result's length.

        Returns:
            At least one byte, or ``b""`` at end-of-file.

        Raises:
            UsageError: the stream is locked, or another read is pending.
            SocketError: what ended the connection, for example ``ResetError``, ``TlsError``, ``ClosedError``.

        Cancellation: safe; no byte is lost.
        """
        if self._reader is not None:
            raise _locked()
        return _read(self._source, max_bytes)

    def read_into(self, buffer: bytearray | memoryview) -> Coroutine[Any, Any, int]:
        """Read into the caller's memory (WHATWG *BYOB*), without a copy.

        Args:
            buffer: writable and contiguous; it must not change size before the read is done.

        Returns:
            How many bytes at its front were filled, 0 at end-of-file.

        Raises, cancellation: as ``read()``.
        """
        if self._reader is not None:
            raise _locked()
        return _read_into(self._source, buffer)

    def get_reader(self) -> ReadableStreamReader:
        """Lock the stream and return the only object that may read it.

        Raises:
            UsageError: it is locked, or a read is pending.
        """
        self._check_free()
        # The lock is a token: stream and reader must not keep each other, and so the socket, alive.
        self._reader = object()
        return ReadableStreamReader(self, self._source, self._reader)

    async def cancel(self, reason: object = None) -> None:
        """Lose interest: what arrives is discarded, reads return end-of-file, writing stays possible.

        Raises:
            UsageError: the stream is locked; cancel through its reader.

        Cancellation: safe.
        """
        if self._reader is not None:
            raise _locked()
        self._source.cancel(reason)

    async def pipe_to(
        self,
        destination: WritableStream,
        *,
        prevent_close: bool = False,
        prevent_abort: bool = False,
        prevent_cancel: bool = False,
        signal: AbortSignal | None = None,
    ) -> None:
        """Move everything into ``destination`` (WHATWG Streams *ReadableStreamPipeTo*); both are locked meanwhile.

        Args:
            destination: closed at end-of-file, aborted when reading fails.
            prevent_close: leave ``destination`` open at end-of-file.
            prevent_abort: leave it alone when reading fails.
            prevent_cancel: leave this stream alone when writing fails.
            signal: stops the pipe, aborting the one and cancelling the other.

        Raises:
            UsageError: either stream is locked.
            SocketError: what ended one of them.
            ClosedError: the signal was aborted.

        Cancellation: safe; stops the pipe and leaves both streams open, a chunk in flight is delivered.
        """
        await pipe(self, destination, prevent_close, prevent_abort, prevent_cancel, signal)

    def tee(self) -> tuple[ReadableStream, ReadableStream]:
        """Return two streams that both get everything; this one stays locked.

        The faster branch waits for the slower one when it is ``high_water_mark`` bytes ahead, so memory stays bounded;
        a cancelled branch holds nobody up.

        Raises:
            UsageError: the stream is locked.
        """
        self._check_free()
        self._reader = object()
        first, second = tee_sources(self._source)
        return ReadableStream(first, self), ReadableStream(second, self)

    def __aiter__(self) -> ReadableStream:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    # -- for pipes and readers -------------------------------------------------------------------

    def _check_free(self) -> None:
        if self._reader is not None:
            raise _locked()
        if self._source.is_pending:
            raise UsageError("a read is pending on this readable stream: await it first")

    def _unlock(self, lock: object) -> None:
        if self._reader is lock:
            self._reader = None


class ReadableStreamReader:
    """The only one that may read its stream until ``release_lock()``."""

    __slots__ = ("_lock", "_source", "_stream")

    def __init__(self, stream: ReadableStream, source: ReadSource, lock: object) -> None:
        self._lock = lock
        self._stream: ReadableStream | None = stream
        self._source = source

    @property
    def closed(self) -> Promise[None]:
        """Resolves at end-of-file or ``cancel()``; rejects with what else ended the reading."""
        return self._source.closed

    def read(self, max_bytes: int = DEFAULT_READ_BYTES) -> Coroutine[Any, Any, bytes]:
        """Read as ``ReadableStream.read`` does."""
        if self._stream is None:
            raise _released()
        return _read(self._source, max_bytes)

    def read_into(self, buffer: bytearray | memoryview) -> Coroutine[Any, Any, int]:
        """Read as ``ReadableStream.read_into`` does."""
        if self._stream is None:
            raise _released()
        return _read_into(self._source, buffer)

    async def cancel(self, reason: object = None) -> None:
        """Lose interest; see ``ReadableStream.cancel``.

        Cancellation: safe.
        """
        if self._stream is None:
            raise _released()
        self._source.cancel(reason)

    def release_lock(self) -> None:
        """Give the stream back; calling it again does nothing.

        Raises:
            UsageError: a read is pending.
        """
        if self._stream is None:
            return
        if self._source.is_pending:
            raise UsageError("cannot release the lock of a reader with a pending read: await it or cancel its task")
        self._stream._unlock(self._lock)
        self._stream = None

    def __aiter__(self) -> ReadableStreamReader:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data


def source_of(stream: ReadableStream) -> ReadSource:
    """Return what ``stream`` reads from, for those who made it."""
    return stream._source


def split(stream: ReadableStream, max_lead_bytes: int) -> tuple[ReadableStream, ReadableStream]:
    """Return two streams like ``tee()`` does, of which one may be read to its end before the other is begun.

    Args:
        stream: it stays locked.
        max_lead_bytes: how far one may be ahead; past that its reads raise ``LimitExceeded``.

    Raises:
        UsageError: the stream is locked.
    """
    stream._check_free()
    stream._reader = object()
    first, second = tee_sources(stream._source, max_lead_bytes, may_wait=False)
    kind = type(stream)
    return kind(first, stream), kind(second, stream)


def _read(source: ReadSource, max_bytes: int) -> Coroutine[Any, Any, bytes]:
    if max_bytes.__class__ is not int:
        raise ArgumentTypeError(f"max_bytes={max_bytes!r} must be an int")
    if max_bytes < 1:
        raise ArgumentValueError(f"max_bytes={max_bytes!r} must be at least 1")
    return source.read(max_bytes)


def _read_into(source: ReadSource, buffer: bytearray | memoryview) -> Coroutine[Any, Any, int]:
    try:
        view = memoryview(buffer).cast("B")
    except TypeError as exc:
        raise ArgumentTypeError(f"buffer of type {type(buffer).__name__} must be contiguous memory: {exc}") from exc
    if view.readonly:
        raise ArgumentTypeError("buffer is read-only: give a bytearray or a writable memoryview")
    if not view:
        raise ArgumentValueError("buffer is empty: give it room for at least one byte")
    return source.read_into(view)


def _locked() -> UsageError:
    return UsageError("this readable stream is locked: use its reader, or release_lock() first")


def _released() -> UsageError:
    return UsageError("this reader was released: call get_reader() again")
