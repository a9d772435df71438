"""``pipe_to``: from a readable to a writable, with an end that each side understands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from longshore.errors import ClosedError, SocketError

if TYPE_CHECKING:
    from longshore.aio.abort import AbortSignal
    from longshore.aio.promise import Promise
    from longshore.sockets._readable import ReadableStream, ReadableStreamReader
    from longshore.sockets._writable import WritableStream, WritableStreamWriter

__all__ = ["pipe"]

# Two TLS batches fit into it; a larger piece only makes the other side wait longer for its first byte.
PIECE_BYTES = 256 * 1024


async def pipe(
    source: ReadableStream,
    destination: WritableStream,
    prevent_close: bool,
    prevent_abort: bool,
    prevent_cancel: bool,
    signal: AbortSignal | None,
) -> None:
    """Move everything from ``source`` to ``destination``; see ``ReadableStream.pipe_to``."""
    reader = source.get_reader()
    try:
        writer = destination.get_writer()
    except BaseException:
        reader.release_lock()
        raise
    try:
        async with _Until(signal):
            await _copy(reader, writer, prevent_abort=prevent_abort, prevent_cancel=prevent_cancel)
            if not prevent_close:
                await writer.close()
    except ClosedError as exc:
        if signal is not None and signal.aborted and exc.reason is signal.reason:
            await _stop(None if prevent_cancel else reader, None if prevent_abort else writer, exc)
        raise
    finally:
        reader.release_lock()
        writer.release_lock()


async def _copy(
    reader: ReadableStreamReader, writer: WritableStreamWriter, *, prevent_abort: bool, prevent_cancel: bool
) -> None:
    await _until_ready(reader, writer, prevent_cancel=prevent_cancel)
    with _Watch(writer) as destination:
        while True:
            try:
                data = await destination.read_from(reader)
            except SocketError as exc:
                if exc is destination.error:
                    await _stop(None if prevent_cancel else reader, None, exc)
                else:
                    await _stop(None, None if prevent_abort else writer, exc)
                raise
            if not data:
                return
            try:
                await writer.write(data)
            except SocketError as exc:
                await _stop(None if prevent_cancel else reader, None, exc)
                raise


async def _until_ready(reader: ReadableStreamReader, writer: WritableStreamWriter, *, prevent_cancel: bool) -> None:
    """Wait until ``write()`` takes a chunk at once: one that was read and waits would be lost by a cancellation."""
    try:
        await writer.ready
    except SocketError as exc:
        await _stop(None if prevent_cancel else reader, None, exc)
        raise


async def _stop(reader: ReadableStreamReader | None, writer: WritableStreamWriter | None, reason: SocketError) -> None:
    if writer is not None:
        await writer.abort(reason)
    if reader is not None:
        await reader.cancel(reason)


class _Watch:
    """Ends a read that waits when the destination fails meanwhile: nobody would notice before the next chunk.

    It cancels the task only while that is suspended in the read, so the cancellation cannot hit anything else.
    """

    def __init__(self, writer: WritableStreamWriter) -> None:
        self._closed = writer.closed
        self._task: asyncio.Task[object] | None = None
        self._interrupted = False
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._closed.add_done_callback(self._on_closed)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.remove_done_callback(self._on_closed)

    async def read_from(self, reader: ReadableStreamReader) -> bytes:
        if self.error is not None:
            raise self.error.with_traceback(None)
        task = asyncio.current_task()
        assert task is not None
        others = task.cancelling()
        self._task = task
        try:
            return await reader.read(PIECE_BYTES)
        except asyncio.CancelledError:
            # As in asyncio.timeout(): only our own cancellation becomes an error, anybody else's goes on.
            if self._interrupted and task.uncancel() <= others and self.error is not None:
                raise self.error.with_traceback(None) from None
            raise
        finally:
            self._task = None

    def _on_closed(self, closed: Promise[None]) -> None:
        self.error = closed.exception()
        if self.error is not None and self._task is not None:
            self._interrupted = True
            self._task.cancel()


class _Until:
    """Turns the abort of a signal into a ``ClosedError`` in the task that is inside."""

    def __init__(self, signal: AbortSignal | None) -> None:
        self._signal = signal
        self._task: asyncio.Task[object] | None = None
        self._others = 0
        self._cancelled = False

    async def __aenter__(self) -> None:
        if self._signal is not None:
            if self._signal.aborted:
                raise self._error()
            self._task = asyncio.current_task()
            assert self._task is not None
            self._others = self._task.cancelling()
            self._signal.add_callback(self, self._on_abort)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._signal is None:
            return
        self._signal.remove_callback(self)
        task, self._task = self._task, None
        # As in asyncio.timeout(): only our own cancellation becomes an error, anybody else's goes on.
        if self._cancelled and task is not None and task.uncancel() <= self._others and kind is asyncio.CancelledError:
            raise self._error() from error

    def _on_abort(self, _: object) -> None:
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()

    def _error(self) -> ClosedError:
        assert self._signal is not None
        return ClosedError(f"the pipe was stopped by its signal: {self._signal.reason}", reason=self._signal.reason)
