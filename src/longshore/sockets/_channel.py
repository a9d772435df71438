"""``Channel``: one socket's connection, its two sides and its lifecycle.

Theory of operation. A channel has no task of its own: only ``_establish`` runs as one, until the
connection is up. After that everything happens inside a call of the user (read, write, close) or of the event
loop (``on_readable``, ``on_writable``, ``on_broken``); each reports an ``Event`` to the ``Lifecycle`` and
carries out the ``Action`` list it gets back, without an await in between. So there is no half-done state for
a cancellation to meet (rule K13).

The event loop holds the channel, through the stream. The public objects hold it through a ``Lease``, and
when the last of them is gone an open channel is aborted: a socket nobody can reach must not stay connected.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from longshore.aio.promise import Promise
from longshore.aio.tasks import spawn
from longshore.errors import ClosedError, SocketError
from longshore.sockets._lifecycle import TERMINAL, Action, Event, Lifecycle, State
from longshore.sockets._read_side import ReadSide
from longshore.sockets._write_side import WriteSide

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from longshore.abc import ByteStream, Connection
    from longshore.core.addresses import SocketAddress
    from longshore.core.info import SocketInfo
    from longshore.sockets._options import SocketOptions

__all__ = ["Channel"]


class Channel:
    """The owner of a connection (a ``longshore.abc.StreamOwner``).

    Args:
        address: where it goes.
        options: how.
        dial: makes the connection; called inside the channel's task.
        abandoned: called when that task was cancelled, even before it began.
    """

    __slots__ = (
        "__weakref__",
        "_abandoned",
        "_close_timer",
        "_connection",
        "_dial_task",
        "_handover",
        "_verdict",
        "address",
        "closed",
        "is_error_told",
        "lifecycle",
        "loop",
        "opened",
        "options",
        "reading",
        "writing",
    )

    def __init__(
        self,
        address: SocketAddress,
        options: SocketOptions,
        dial: Callable[[], Coroutine[Any, Any, Connection]],
        abandoned: Callable[[], None] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = address
        self.options = options
        self.opened: Promise[SocketInfo] = Promise()
        self.closed: Promise[None] = Promise()
        self.lifecycle = Lifecycle(allow_half_open=options.allow_half_open)
        self.reading = ReadSide(self)
        self.writing = WriteSide(self, options.high_water_mark)
        self._abandoned = abandoned
        self._connection: Connection | None = None
        self.is_error_told = False
        self._verdict: tuple[SocketError | None] | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._handover: Promise[Connection] | None = None
        self._dial_task: asyncio.Task[None] | None = spawn(
            self._establish(dial), name=f"connect {address}", on_done=self._on_dial_task_done
        )
        if options.signal is not None:
            self.closed.add_done_callback(self._forget_signal)
            options.signal.add_callback(self, self.abort)

    @property
    def is_awaited(self) -> bool:
        """True while a call on it is pending."""
        return self.opened.is_awaited or self.closed.is_awaited or self.reading.is_pending or self.writing.is_pending

    @property
    def is_closing(self) -> bool:
        """True while ``close()`` flushes."""
        return self.lifecycle.state is State.CLOSING

    @property
    def stream(self) -> ByteStream | None:
        """The stream underneath, None while there is none."""
        return None if self._connection is None else self._connection.stream

    # -- connecting ------------------------------------------------------------------------------

    async def _establish(self, dial: Callable[[], Coroutine[Any, Any, Connection]]) -> None:
        try:
            connection = await dial()
        except SocketError as exc:
            self._on_dial_failed(exc)
        except Exception as exc:  # noqa: BLE001 - a dialer's bug must still settle the socket (rule K6)
            self._on_dial_failed(self._internal_error(exc))
        else:
            self._attach(connection)

    def _attach(self, connection: Connection) -> None:
        self._dial_task = None
        if self.lifecycle.is_finished and self._handover is None:
            connection.stream.abort()  # closed in the very instant in which it connected
            self._settle_closed()
            return
        self._connection = connection
        self.writing.stream = connection.stream
        connection.stream.set_owner(self)
        if self._handover is not None:
            self.opened.resolve_with(connection.get_info)
            self._try_hand_over()
            return
        if not self.reading.cancelled:
            self.reading.stream = connection.stream
        self.apply(Event.CONNECTED)
        # Nobody who waits for ``opened`` has run yet: early writes leave first (rule K2).
        self.writing.flush()
        if self.writing.abort_error is not None:
            self.apply(Event.WRITE_ABORT, self.writing.abort_error)
        if self.reading.cancelled:
            self.apply(Event.READ_CANCEL, self.writing.abort_error)
        self.reading.waiter.wake()

    def _on_dial_failed(self, error: SocketError) -> None:
        self._dial_task = None
        if self._handover is not None:
            self.opened.reject(error)
            self._handover.reject(error)
            return
        self.reading.fail(error)
        self.writing.fail(error)
        self.apply(Event.CONNECT_FAILED, error)
        self._settle_closed()

    def _on_dial_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            return
        if not self.lifecycle.is_finished or not self.opened.done():
            self._on_dial_failed(self._closed_error("was cancelled while it connected"))
        self._dial_task = None
        if self._abandoned is not None:
            self._abandoned()
        self._settle_closed()

    # -- what the user asks for ------------------------------------------------------------------

    def close(self, reason: object, timeout_s: float | None) -> None:
        """Flush, then close; while connecting, stop connecting (rule K8)."""
        state = self.lifecycle.state
        if state is State.CLOSING:
            return
        error = self._closed_error("is closed", reason=reason)
        if state in TERMINAL:
            self._drop_unread(error)
            return
        self.reading.fail(error)
        if state is State.CONNECTING:
            self._close_connecting(error)
            return
        self.apply(Event.CLOSE, self.writing.abort_error or error)
        if self.is_closing and timeout_s is not None:
            self._close_timer = self.loop.call_later(timeout_s, self._on_close_timeout, timeout_s)

    def _close_connecting(self, error: ClosedError) -> None:
        """Stop connecting. ``closed`` rejects if that loses bytes a ``write()`` has accepted: never silently."""
        lost_bytes = self.writing.queue.size_bytes
        self.writing.fail(error)
        if lost_bytes:
            what = f"was closed before it was connected, so {lost_bytes} written bytes were never sent"
            self.apply(Event.ABORT, self._closed_error(what, reason=error.reason, during="close"))
        else:
            self.apply(Event.CLOSE, error)

    def abort(self, reason: object = None) -> None:
        """Reset the connection now; while connecting, stop connecting."""
        error = self._closed_error("was aborted", reason=reason)
        self.is_error_told = True
        if not self.lifecycle.is_finished:
            self.reading.fail(error)
            self.writing.fail(error)
        self.apply(Event.ABORT, error)
        self._drop_unread(error)

    def cancel_read(self, reason: object) -> None:
        """Discard what arrives from now on (WHATWG Streams, *ReadableStreamCancel*)."""
        if self.reading.ended or self.reading.error is not None:
            return
        self.reading.cancelled = True
        self.reading.end()
        self.reading.detach()
        self.reading.waiter.wake_soon()
        self.apply(Event.READ_CANCEL, self.writing.abort_error or self._closed_error("was cancelled", reason=reason))
        self.reading.look()

    def abort_write(self, reason: object) -> None:
        """Drop what is queued; the peer will see a reset instead of an end-of-file."""
        if self.writing.shut or self.writing.abort_error is not None or self.lifecycle.is_finished:
            return
        error = self._closed_error("had its writable aborted", reason=reason)
        self.writing.abort_error = error
        self.writing.fail(error)
        if self.lifecycle.state is not State.CONNECTING:
            self.apply(Event.WRITE_ABORT, error)

    def end_write(self) -> None:
        """Flush, then send FIN (close_notify under TLS)."""
        self.writing.end(self._closed_error("has a closed writable", during="write"))

    def hand_over(self) -> Promise[Connection]:
        """Give the connection up for ``start_tls()``: open and flushed, when the promise resolves (rule K9)."""
        error = self._closed_error("was upgraded by start_tls(); use the socket that it returned")
        self._handover = Promise()
        self.apply(Event.UPGRADE)
        self.reading.fail(error)
        self.writing.refuse(error)
        self._try_hand_over()
        return self._handover

    def discard_handover(self) -> None:
        """Nobody wants the connection that was given up any more."""
        if self._dial_task is not None:
            self._dial_task.cancel()
        self._release(reset=True)
        handover = self._handover
        if handover is not None and handover.done() and handover.exception() is None:
            handover.result().stream.abort()

    def release_unread(self) -> None:
        """Close a finished connection whose last bytes nobody will read any more."""
        if self.lifecycle.is_finished and self._handover is None:
            self._release(reset=False)

    # -- what the sides report -------------------------------------------------------------------

    def on_peer_ended(self) -> None:
        """The readable has been read to its end; rule K7 decides about the write side."""
        self.reading.end()
        self.apply(Event.PEER_ENDED, self.writing.abort_error)
        self.release_unread()

    def peer_ended_error(self) -> ClosedError:
        """Return what a write raises after the peer's end has closed the write side (rule K7)."""
        return self._closed_error("was ended by the peer", during="write")

    def on_write_shut(self) -> None:
        """Everything is flushed and FIN is sent."""
        self.apply(Event.WRITE_SHUT)

    def on_read_error(self, error: SocketError) -> SocketError:
        """Reading failed: nothing more can be read, and the connection is over."""
        self.reading.fail(error)
        self._on_broken(error)
        return error

    def on_write_error(self, error: SocketError) -> SocketError:
        """Writing failed; what the peer sent before that can still be read."""
        self._on_broken(error)
        return error

    def _on_broken(self, error: SocketError) -> None:
        self.writing.fail(error)
        if self._handover is not None and not self._handover.done():
            self._handover.reject(error)
            self._release(reset=True)
        self.apply(Event.BROKEN, error)
        if self.lifecycle.is_finished and self.reading.stream is None:
            self._release(reset=True)

    # -- what the stream reports (longshore.abc.StreamOwner) -------------------------------------

    def on_readable(self) -> None:
        """Bytes, end-of-file or an error are there: for the reader who waits, or to be looked at."""
        if self.reading.waiter.is_waiting:
            self.reading.waiter.wake()
        else:
            self.reading.look()

    def on_writable(self) -> None:
        """There is room again."""
        if self._handover is not None:
            self._try_hand_over()
        else:
            self.writing.flush()

    def on_broken(self, error: Exception) -> None:
        """The connection was reset behind unread bytes."""
        assert isinstance(error, SocketError)
        self.on_write_error(error)

    # -- carrying out ----------------------------------------------------------------------------

    def apply(self, event: Event, error: SocketError | None = None) -> None:
        """Report ``event`` to the lifecycle and do what it says; ``error`` is what is rejected with."""
        for action in self.lifecycle.step(event):
            _PERFORM[action](self, error)

    def _cancel_dial(self, _: SocketError | None) -> None:
        if self._dial_task is not None:
            self._dial_task.cancel()

    def _resolve_opened(self, _: SocketError | None) -> None:
        assert self._connection is not None
        self.opened.resolve_with(self._connection.get_info)

    def _reject_opened(self, error: SocketError | None) -> None:
        assert error is not None
        self.opened.reject(error)

    def _end_write(self, error: SocketError | None) -> None:
        # The table asks for this only where nothing but closing is left to do.
        self.writing.end(error, closing=True)

    def _close_connection(self, _: SocketError | None) -> None:
        self._release(reset=False)

    def _reset_connection(self, _: SocketError | None) -> None:
        self._release(reset=True)

    def _resolve_closed(self, _: SocketError | None) -> None:
        self._verdict = (None,)
        self._settle_closed()

    def _reject_closed(self, error: SocketError | None) -> None:
        self._verdict = (error,)
        self._settle_closed()

    def _settle_closed(self) -> None:
        """Settle ``closed``, but not before the dial task has ended: then nothing is left behind."""
        if self._verdict is None or self.closed.done() or (self._dial_task is not None and self._handover is None):
            return
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        (error,) = self._verdict
        if error is None:
            self.closed.resolve(None)
        else:
            self.closed.reject(error)

    def _keep_unread(self, error: SocketError | None) -> None:
        assert error is not None
        stream = self.reading.stream
        try:
            unread = stream is not None and not self.reading.cancelled and stream.peek() is True
        except SocketError:
            unread = False
        if unread:
            self.writing.detach()
            self.reading.waiter.wake_soon()
        else:
            self.reading.fail(error)
            self._release(reset=True)

    def _drop_unread(self, error: ClosedError) -> None:
        """Release what was kept because it had not been read (``KEEP_UNREAD``)."""
        if self._handover is None and self._connection is not None:
            self.reading.fail(error)
            self._release(reset=True)

    def _release(self, *, reset: bool) -> None:
        self.reading.detach()
        self.writing.detach()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.stream.set_owner(None)
        if reset:
            connection.stream.abort()
        else:
            connection.stream.close()

    def _try_hand_over(self) -> None:
        assert self._handover is not None
        if self._connection is None or not self.writing.flush() or self._handover.done():
            return
        connection, self._connection = self._connection, None
        connection.stream.set_owner(None)
        self.writing.detach()
        self._handover.resolve(connection)

    def _on_close_timeout(self, timeout_s: float) -> None:
        unsent_bytes = self.writing.queue.size_bytes or "the last"
        error = self._closed_error(
            f"was reset: {unsent_bytes} bytes could not be sent within the timeout_s={timeout_s} of close()",
            during="close",
        )
        self.writing.fail(error)
        self.apply(Event.CLOSE_TIMED_OUT, error)

    def _forget_signal(self, _: Promise[None]) -> None:
        assert self.options.signal is not None
        self.options.signal.remove_callback(self)

    def _closed_error(self, what: str, *, reason: object = None, during: str | None = None) -> ClosedError:
        because = f": {reason}" if reason is not None else ""
        return ClosedError(
            f"the socket to {self.address} {what}{because}", address=str(self.address), during=during, reason=reason
        )

    def _internal_error(self, exc: Exception) -> SocketError:
        error = SocketError(f"cannot connect to {self.address}: internal error: {exc!r}", address=str(self.address))
        error.__cause__ = exc
        return error


_PERFORM: Final[dict[Action, Callable[[Channel, SocketError | None], None]]] = {
    Action.CANCEL_DIAL: Channel._cancel_dial,
    Action.RESOLVE_OPENED: Channel._resolve_opened,
    Action.REJECT_OPENED: Channel._reject_opened,
    Action.END_WRITE: Channel._end_write,
    Action.RELEASE: Channel._close_connection,
    Action.RESET: Channel._reset_connection,
    Action.KEEP_UNREAD: Channel._keep_unread,
    Action.RESOLVE_CLOSED: Channel._resolve_closed,
    Action.REJECT_CLOSED: Channel._reject_closed,
}
