"""Streams with the spelling of JavaScript beside Python's: ``getReader()``, ``{value, done}``, ``pipeTo()``.

They are the library's streams, so they can be given to whatever takes one: ``Response(socket.readable)``. Bodies of
requests and responses are such streams too, for upstream's SDK shows them as JavaScript's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.errors import ClosedError, UsageError
from longshore.sockets._readable import ReadableStream, ReadableStreamReader
from longshore.sockets._writable import WritableStream, WritableStreamWriter
from longshore.workers._buffer import JsBuffer
from longshore.workers._javascript_promise import JsPromise, derived, js_error, promised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.sockets._writable import Chunk

__all__ = ["JsReadableStream", "JsReader", "JsWritableStream", "JsWriter", "ReadResult"]

READ_BYTES = 65536
READABLE_LOCKED = "This ReadableStream is currently locked to a reader."
WRITABLE_LOCKED = "This WritableStream is currently locked to a writer."
READER_RELEASED = "This ReadableStream reader has been released."
WRITER_RELEASED = "This WritableStream writer has been released."
READABLE_CLOSED = "This ReadableStream has been closed."
WRITABLE_CLOSED = "This WritableStream has been closed."
READ_PENDING = "This ReadableStream only supports a single pending read request at a time."


class ReadResult:
    """What ``read()`` gives: ``value`` is None when ``done``."""

    __slots__ = ("done", "value")

    def __init__(self, value: JsBuffer | None, done: bool) -> None:
        self.value = value
        self.done = done

    def to_py(self, **_: Any) -> dict[str, Any]:
        """Return both as a dict."""
        return {"value": self.value, "done": self.done}

    def __repr__(self) -> str:
        return f"ReadResult(value={self.value!r}, done={self.done!r})"


class JsReadableStream(ReadableStream):
    """A ``ReadableStream`` that JavaScript-style code can read too; iterating it gives ``JsBuffer``."""

    __slots__ = ()

    def getReader(self, options: Mapping[str, Any] | None = None) -> JsReader:  # noqa: N802 - JavaScript's name
        """Lock the stream and return its reader.

        Args:
            options: nothing that is supported: ``mode="byob"`` is refused.

        Raises:
            TypeError: it is locked, a read is pending, or ``mode`` is given.
        """
        if options is not None and options.get("mode") is not None:
            raise TypeError(f"getReader() has no mode {options['mode']!r} here: read_into(buffer) reads into memory")
        if self.locked:
            raise TypeError(READABLE_LOCKED)
        try:
            return JsReader(self.get_reader())
        except UsageError as exc:
            raise TypeError(READ_PENDING) from exc

    def pipeTo(  # noqa: N802 - JavaScript's name
        self, destination: WritableStream, options: Mapping[str, Any] | None = None
    ) -> JsPromise[None]:
        """Move everything into ``destination``; see ``pipe_to()``.

        Args:
            destination: of a socket.
            options: ``preventClose``, ``preventAbort``, ``preventCancel``, ``signal``.
        """
        given = options or {}
        return promised(
            _piped(
                self,
                destination,
                prevent_close=bool(given.get("preventClose")),
                prevent_abort=bool(given.get("preventAbort")),
                prevent_cancel=bool(given.get("preventCancel")),
                signal=given.get("signal"),
            )
        )

    def cancel(self, reason: object = None) -> JsPromise[None]:  # type: ignore[override]  # is awaited all the same
        """Lose interest, at once; see ``ReadableStream.cancel``."""
        if self.locked:
            return _rejected(TypeError(READABLE_LOCKED))
        return promised(super().cancel(reason))

    def tee(self) -> tuple[JsReadableStream, JsReadableStream]:
        """Return two streams that both get everything; see ``ReadableStream.tee``.

        Raises:
            UsageError: the stream is locked; it is a ``TypeError`` too.
        """
        first, second = super().tee()
        return JsReadableStream(first._source, self), JsReadableStream(second._source, self)

    def __aiter__(self) -> JsReadableStream:
        return self

    async def __anext__(self) -> JsBuffer:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return JsBuffer(data)


class JsReader:
    """A *ReadableStreamDefaultReader*."""

    __slots__ = ("_closed", "_reader")

    def __init__(self, reader: ReadableStreamReader) -> None:
        self._reader: ReadableStreamReader | None = reader
        self._closed: JsPromise[None] | None = None

    @property
    def closed(self) -> JsPromise[None]:
        """Resolves at the end of the stream."""
        if self._closed is None:
            if self._reader is None:
                return _rejected(TypeError(READER_RELEASED))
            self._closed = derived(self._reader.closed, _nothing, _reading_error, self)
        return self._closed

    def read(self) -> JsPromise[ReadResult]:
        """Read what is there, or wait for it."""
        if self._reader is None:
            return _rejected(TypeError(READER_RELEASED))
        if self._reader._source.is_pending:
            return _rejected(TypeError(READ_PENDING))
        return promised(_read(self._reader))

    def cancel(self, reason: object = None) -> JsPromise[None]:
        """Lose interest, at once."""
        if self._reader is None:
            return _rejected(TypeError(READER_RELEASED))
        return promised(self._reader.cancel(reason))

    def releaseLock(self) -> None:  # noqa: N802 - JavaScript's name
        """Give the stream back.

        Raises:
            TypeError: a read is pending.
        """
        if self._reader is not None:
            try:
                self._reader.release_lock()
            except UsageError as exc:
                raise TypeError(READ_PENDING) from exc
            self._reader = None


class JsWritableStream(WritableStream):
    """A ``WritableStream`` that JavaScript-style code can write too."""

    __slots__ = ()

    def getWriter(self) -> JsWriter:  # noqa: N802 - JavaScript's name
        """Lock the stream and return its writer.

        Raises:
            TypeError: it is locked, or a write is pending.
        """
        if self.locked:
            raise TypeError(WRITABLE_LOCKED)
        try:
            return JsWriter(self.get_writer())
        except UsageError as exc:
            raise TypeError(str(exc)) from exc

    def close(self) -> JsPromise[None]:  # type: ignore[override]  # is awaited all the same
        """Flush and end the writing; see ``WritableStream.close``."""
        if self.locked:
            return _rejected(TypeError(WRITABLE_LOCKED))
        return promised(_writing(super().close()))

    def abort(self, reason: object = None) -> JsPromise[None]:  # type: ignore[override]  # is awaited all the same
        """Drop what is queued; see ``WritableStream.abort``."""
        if self.locked:
            return _rejected(TypeError(WRITABLE_LOCKED))
        return promised(_writing(super().abort(reason)))


class JsWriter:
    """A *WritableStreamDefaultWriter*."""

    __slots__ = ("_closed", "_writer")

    def __init__(self, writer: WritableStreamWriter) -> None:
        self._writer: WritableStreamWriter | None = writer
        self._closed: JsPromise[None] | None = None

    @property
    def closed(self) -> JsPromise[None]:
        """Resolves when everything is flushed and ended."""
        if self._closed is None:
            if self._writer is None:
                return _rejected(TypeError(WRITER_RELEASED))
            self._closed = derived(self._writer.closed, _nothing, _writing_error, self)
        return self._closed

    @property
    def desiredSize(self) -> int:  # noqa: N802 - JavaScript's name
        """Bytes that may be written before ``ready`` waits.

        Raises:
            TypeError: it was released.
        """
        if self._writer is None:
            raise TypeError(WRITER_RELEASED)
        return self._writer.desired_size

    @property
    def ready(self) -> JsPromise[None]:
        """Resolves when ``desiredSize`` is above 0."""
        if self._writer is None:
            return _rejected(TypeError(WRITER_RELEASED))
        return promised(_writing(_ready(self._writer)))

    def write(self, chunk: Chunk) -> JsPromise[None]:
        """Write ``chunk``: bytes-like, or a str, which is sent as UTF-8."""
        if self._writer is None:
            return _rejected(TypeError(WRITER_RELEASED))
        try:
            return promised(_writing(self._writer.write(chunk)))
        except UsageError as exc:  # no bytes
            return _rejected(js_error(exc))

    def close(self) -> JsPromise[None]:
        """Flush and end the writing."""
        if self._writer is None:
            return _rejected(TypeError(WRITER_RELEASED))
        return promised(_writing(self._writer.close()))

    def abort(self, reason: object = None) -> JsPromise[None]:
        """Drop what is queued."""
        if self._writer is None:
            return _rejected(TypeError(WRITER_RELEASED))
        return promised(_writing(self._writer.abort(reason)))

    def releaseLock(self) -> None:  # noqa: N802 - JavaScript's name
        """Give the stream back.

        Raises:
            TypeError: a write is pending.
        """
        if self._writer is not None:
            try:
                self._writer.release_lock()
            except UsageError as exc:
                raise TypeError(str(exc)) from exc
            self._writer = None


async def _read(reader: ReadableStreamReader) -> ReadResult:
    try:
        data = await reader.read(READ_BYTES)
    except ClosedError as exc:
        raise _reading_error(exc) from exc
    return ReadResult(JsBuffer(data), False) if data else ReadResult(None, True)


async def _ready(writer: WritableStreamWriter) -> None:
    await writer.ready


async def _writing(work: Any) -> None:
    try:
        await work
    except ClosedError as exc:
        raise _writing_error(exc) from exc


async def _piped(source: JsReadableStream, destination: WritableStream, **options: Any) -> None:
    if source.locked:
        raise TypeError(READABLE_LOCKED)
    if destination.locked:
        raise TypeError(WRITABLE_LOCKED)
    await source.pipe_to(destination, **options)


def _rejected(error: BaseException) -> JsPromise[Any]:
    promise: JsPromise[Any] = JsPromise()
    promise.reject(error)
    return promise


def _nothing(value: None) -> None:
    return value


def _reading_error(error: BaseException) -> BaseException:
    return js_error(error, closed=READABLE_CLOSED)


def _writing_error(error: BaseException) -> BaseException:
    return js_error(error, closed=WRITABLE_CLOSED)
