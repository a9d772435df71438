"""``Channel``: what host and worker say to each other, over an ``AF_UNIX`` stream socket in an event loop (shell).

The frames are ``longshore.proto.ipc``'s; descriptors travel beside them. ``SyncChannel`` is the same for a process
without an event loop. Runs on every loop that has ``add_reader`` and ``add_writer`` (stdlib, uvloop).
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from longshore.net.fdpass import MAX_DESCRIPTORS, Inbox, Outbox
from longshore.proto.ipc.frames import FrameError, make_frame

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from longshore.net.fdpass import Received
    from longshore.proto.ipc.messages import Message

__all__ = ["MAX_DESCRIPTORS", "Channel", "SyncChannel"]

# So many messages wait for a slow receiver before the kernel's buffer has to hold the rest and the sender waits.
_MAX_WAITING = 256
# So many messages are delivered before other work of the loop has its turn: a peer that never stops must not have it
# for itself.
_AT_A_TIME = 64
# How long `send_at_once` waits for room in the kernel.
_PATIENCE_S = 1.0


class Channel:
    """One end of a control channel; made inside the running loop.

    Args:
        sock: connected ``AF_UNIX`` ``SOCK_STREAM`` socket; belongs to the channel from now on.
        inbox: what was already received on it, from ``SyncChannel.detach()``.
    """

    def __init__(self, sock: socket.socket, inbox: Inbox | None = None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox() if inbox is None else inbox
        self._outbox = Outbox()
        self._waiting: asyncio.Future[None] | None = None
        self._flushing: list[asyncio.Future[None]] = []
        self._read_error: Exception | None = None
        self._write_error: OSError | None = None
        self._is_ended = False
        self._is_closed = False
        self._is_reading = False
        self._is_writing = False
        self._is_send_scheduled = False
        self._on_message: Callable[[Message, list[int]], None] | None = None
        self._on_end: Callable[[Exception | None], None] | None = None
        self._is_paused = False
        self._is_delivery_scheduled = False
        self._read_on()

    # -- sending ---------------------------------------------------------------------------------

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Queue a message; all of one turn of the loop leave together, in order. Never blocks.

        A message to a peer that is gone, or on a closed channel, is dropped: who wants to know asks ``flush()`` or is
        told by ``receive()``.

        Args:
            message: what to say.
            fds: descriptors to pass on. Duplicates of them are sent, made before this returns; the caller's stay the
                caller's.

        Raises:
            FrameError, ValueError: the message is too long, or has more than ``MAX_DESCRIPTORS`` descriptors.
            OSError: a descriptor is not open, or there are too many open files.
        """
        if self._is_closed or self._write_error is not None:
            return
        self._outbox.put(message, fds)
        if not self._is_send_scheduled and not self._is_writing:
            self._is_send_scheduled = True
            self._loop.call_soon(self._send_scheduled)

    def send_now(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Do the same, and not at the end of this turn of the loop: somebody waits for it."""
        if self._outbox or self._is_closed or self._write_error is not None:
            self.send(message, fds)
            if self._outbox and not self._is_closed and not self._is_writing:
                self._send_queued()
            return
        try:
            is_sent = self._outbox.send_first(self._sock, message, fds)
        except OSError as exc:
            if exc.errno == errno.EBADF:
                raise  # one of ``fds``
            self._stop_sending(exc)
            return
        if not is_sent:
            self._wait_for_room()

    @property
    def has_unsent(self) -> bool:
        """True while the kernel has not taken everything: the peer is slow to read."""
        return bool(self._outbox)

    @property
    def unsent_bytes(self) -> int:
        """How much the kernel has not taken."""
        return self._outbox.size_bytes

    def send_at_once(self, message: Message) -> None:
        """Send a message from another thread, for a loop that does not turn; it may overtake queued ones.

        Dropped when the loop is in the middle of a message, or nobody listens.
        """
        if self._is_closed or self._is_writing or self._write_error is not None:
            return
        try:
            # Not by the loop's own socket object, which never waits: what is begun has to be finished.
            with self._sock.dup() as sock:
                sock.settimeout(_PATIENCE_S)
                sock.sendall(make_frame(message))
        except OSError:
            pass

    async def flush(self) -> None:
        """Wait until everything queued is in the kernel.

        Raises:
            OSError: the channel broke, or was closed, before that.

        Cancellation: safe; the messages are still sent.
        """
        if self._outbox and self._write_error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._flushing.append(waiter)
            await waiter
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)

    def _send_scheduled(self) -> None:
        self._is_send_scheduled = False
        if not self._is_closed and not self._is_writing:
            self._send_queued()

    def _send_queued(self) -> None:
        try:
            is_empty = self._outbox.send_to(self._sock)
        except OSError as exc:
            self._stop_sending(exc)
            return
        if not is_empty:
            self._wait_for_room()
            return
        self._stop_writing()
        self._wake_flushing()

    def _wait_for_room(self) -> None:
        if not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._fd, self._send_queued)

    def _stop_sending(self, error: OSError) -> None:
        self._write_error = self._write_error or error
        self._outbox.close()
        self._stop_writing()
        self._wake_flushing()

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._fd)

    def _wake_flushing(self) -> None:
        for waiter in self._flushing:
            if not waiter.done():
                waiter.set_result(None)
        self._flushing.clear()

    # -- receiving -------------------------------------------------------------------------------

    async def receive(self) -> Received | None:
        """Return the next message and its descriptors, which belong to the caller; None once the peer has ended.

        Not together with ``listen()``. One task at a time may wait. None also when the channel is closed meanwhile.

        Raises:
            FrameError: what came is not of this protocol; the channel is of no further use.
            OSError: the channel broke.

        Cancellation: safe; no message is lost.
        """
        while not self._inbox:
            if self._read_error is not None:
                raise self._read_error.with_traceback(None)
            if self._is_ended or self._is_closed:
                return None
            assert self._waiting is None or self._waiting.done(), "one task at a time may receive"
            self._read_on()
            self._waiting = self._loop.create_future()
            await self._waiting
        received = self._inbox.take()
        self._read_on()
        return received

    def listen(
        self, on_message: Callable[[Message, list[int]], None], on_end: Callable[[Exception | None], None]
    ) -> None:
        """Have messages delivered by plain calls from the event loop, instead of ``receive()``.

        Args:
            on_message: called with each message and its descriptors, which belong to the callee.
            on_end: called once after the last one: with None when the peer has ended, else with what broke the
                channel. Not called after ``close()``.
        """
        self._on_message, self._on_end = on_message, on_end
        if self._inbox or self._is_ended or self._read_error is not None:
            self._deliver_soon()

    def pause(self) -> None:
        """Deliver nothing more until ``resume()``, and let the kernel's buffer hold the sender up."""
        self._is_paused = True
        self._stop_reading()

    def resume(self) -> None:
        """Deliver again, first what has arrived already."""
        if self._is_paused:
            self._is_paused = False
            self._deliver_soon()

    def _deliver_soon(self) -> None:
        if not self._is_delivery_scheduled:
            self._is_delivery_scheduled = True
            self._loop.call_soon(self._deliver_scheduled)

    def _deliver_scheduled(self) -> None:
        self._is_delivery_scheduled = False
        self._deliver(_AT_A_TIME)

    def _deliver(self, at_most: int) -> int:
        """Deliver what is there, or so much of it that others have to have their turn first; return how many."""
        count = 0
        try:
            while self._inbox and not (self._is_paused or self._is_closed) and self._on_message is not None:
                if count == at_most:
                    break
                count += 1
                message, fds = self._inbox.take()
                self._on_message(message, fds)
        finally:
            # Also when a message could not be dealt with: the next one is not to blame.
            self._after_delivery()
        return count

    def _after_delivery(self) -> None:
        if self._is_closed or self._is_paused or self._on_end is None:
            return
        if self._inbox:
            self._stop_reading()
            self._deliver_soon()
        elif self._is_ended or self._read_error is not None:
            on_end, self._on_end = self._on_end, None
            on_end(self._read_error)
        else:
            self._read_on()

    def _on_readable(self) -> None:
        """Take all there is: libuv drops a descriptor at ``EPOLLERR``, and bytes may lie before the end."""
        room = _AT_A_TIME
        while self._is_reading and not self._is_ended and self._read_error is None:
            if len(self._inbox) >= _MAX_WAITING:
                break
            try:
                self._is_ended = not self._inbox.receive_from(self._sock)
            except (BlockingIOError, InterruptedError):
                self._wake_receiver()
                return
            except (FrameError, OSError) as exc:
                self._read_error = exc
            if self._on_message is not None:
                # Before the kernel is asked for more: somebody waits for the answer to this one.
                room -= self._deliver(room) or 1
                if room <= 0 and self._is_reading:
                    self._deliver_soon()  # which reads on
                    break
        self._stop_reading()
        self._wake_receiver()

    def _read_on(self) -> None:
        is_open = not (self._is_closed or self._is_ended or self._read_error or self._is_paused)
        if is_open and not self._is_reading and len(self._inbox) < _MAX_WAITING:
            self._is_reading = True
            self._loop.add_reader(self._fd, self._on_readable)

    def _stop_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def _wake_receiver(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # -- ending ----------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """True after ``close()``."""
        return self._is_closed

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return -1 if self._is_closed else self._fd

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took. What is queued is not sent: ``flush()`` first."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_reading()
        self._inbox.close()
        had_more = bool(self._outbox)
        self._stop_writing()
        self._outbox.close()
        if had_more and self._write_error is None:
            self._write_error = ConnectionAbortedError("the channel was closed with messages that were not sent")
        self._wake_flushing()
        self._wake_receiver()
        self._sock.close()


class SyncChannel:
    """One end of a control channel in a process without an event loop: every call blocks until it is done.

    Args:
        sock: connected ``AF_UNIX`` ``SOCK_STREAM`` socket; belongs to the channel from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._inbox = Inbox()
        self._outbox = Outbox()

    @property
    def has_message(self) -> bool:
        """True when ``receive()`` returns without reading, which polling ``fileno()`` cannot tell."""
        return bool(self._inbox)

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message and duplicates of ``fds``.

        Raises:
            FrameError, ValueError: the message is too long, or has more than ``MAX_DESCRIPTORS`` descriptors.
            OSError: the channel broke.
        """
        self._outbox.put(message, fds)
        while not self._outbox.send_to(self._sock):
            pass  # interrupted by a signal

    def receive(self) -> Received | None:
        """Return the next message and its descriptors, which belong to the caller; None once the peer has ended.

        Raises:
            FrameError: what came is not of this protocol.
            OSError: the channel broke.
        """
        while not self._inbox:
            if not self._inbox.receive_from(self._sock):
                return None
        return self._inbox.take()

    def detach(self) -> tuple[socket.socket, Inbox]:
        """Give the socket up, with what was received and not taken, to ``Channel(*detached)``."""
        return self._sock, self._inbox

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took."""
        self._inbox.close()
        self._outbox.close()
        self._sock.close()
