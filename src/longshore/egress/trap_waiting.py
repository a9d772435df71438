"""``Waiting``: blocking connects that are not up yet; none of them holds up anything else (shell).

Theory of operation. The thread in the worker sleeps until we answer. Meanwhile its socket is in our loop's poll set,
through a duplicate. There are four ends: the socket becomes writable (connected or refused), its ``SO_SNDTIMEO`` runs
out, a signal handler wants to run in the thread, or the thread is killed. Of the last two nobody tells us: the kernel
keeps signals back while we hold the call (``WAIT_KILLABLE_RECV``). So a few of the waiting threads are looked at every
``_LOOK_INTERVAL_S``, in turn, and one with a signal gets the kernel's own answer for an interrupted system call: the
handler runs, and then the call fails with EINTR or starts anew, as if the thread had slept in the kernel. A call that
is made anew finds the socket connecting, and waits here again.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_caller import connect_again, nonblocking
from longshore.egress.trap_decision import ERESTARTSYS, WAS_UNCONNECTED, has_pending_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.sandbox.notify import Listener
    from longshore.sandbox.structs import Notification

__all__ = ["GAVE_UP", "Waiting"]

# What a person who presses Ctrl-C does not notice.
_LOOK_INTERVAL_S: Final = 0.1
# Each look reads a file of /proc, 20 µs: a thousand waiting threads must not make a pause of it.
_LOOKS_AT_A_TIME: Final = 32
GAVE_UP: Final = -1
"""Told instead of an errno: nobody waits for the connection any more."""


class Waiting:
    """The blocking connects of one worker that are under way.

    Args:
        listener: where they are answered.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, _Call] = {}
        self._turns: deque[_Call] = deque()
        self._look: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many threads wait."""
        return len(self._calls)

    def add(
        self,
        call: Notification,
        sock: socket.socket,
        on_end: Callable[[int], None] | None,
        timeout_code: int = errno.EINPROGRESS,
    ) -> None:
        """Answer ``call`` when ``sock`` is connected, or is not going to be.

        Args:
            call: of connect(2).
            sock: connecting; belongs to this object from now on.
            on_end: told once, with 0, an errno of connect(2), EINPROGRESS (the call ended and the connection goes on)
                or ``GAVE_UP``; the socket is open during the call, and closed afterwards.
            timeout_code: what the worker is told when its ``SO_SNDTIMEO`` runs out.
        """
        timeout_s = _send_timeout_s(sock)
        waiting = _Call(call, sock, on_end, is_timed=timeout_s > 0)
        self._calls[call.id] = waiting
        self._turns.append(waiting)
        flags = fcntl.fcntl(sock, fcntl.F_GETFL)
        self._loop.add_writer(sock.fileno(), self._on_writable, waiting)
        # libuv sets O_NONBLOCK, which is the worker's to set.
        fcntl.fcntl(sock, fcntl.F_SETFL, flags)
        if timeout_s:
            waiting.timer = self._loop.call_later(timeout_s, self._end, waiting, errno.EINPROGRESS, timeout_code)
        if self._look is None:
            self._look = self._loop.call_later(_LOOK_INTERVAL_S, self._on_look)

    def close(self) -> None:
        """Give up; nothing is answered."""
        for waiting in list(self._calls.values()):
            self._take_out(waiting)
            waiting.tell(GAVE_UP)
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._turns.clear()

    def _on_writable(self, waiting: _Call) -> None:
        with nonblocking(waiting.sock):
            code = connect_again(waiting.sock)
        if code == errno.EALREADY:
            return
        if code == errno.EISCONN:
            code = 0  # another thread that waits for the same socket was told before
        elif code == WAS_UNCONNECTED:
            # Shut down in the meantime; or another thread was told the error before.
            code = waiting.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNABORTED
        self._end(waiting, code)

    def _end(self, waiting: _Call, code: int, answer: int | None = None) -> None:
        self._take_out(waiting)
        self._listener.answer(waiting.call.id, code if answer is None else answer)
        waiting.tell(code)

    def _take_out(self, waiting: _Call) -> None:
        del self._calls[waiting.call.id]
        self._loop.remove_writer(waiting.sock.fileno())
        if waiting.timer is not None:
            waiting.timer.cancel()

    def _on_look(self) -> None:
        self._look = None
        for _ in range(min(len(self._turns), _LOOKS_AT_A_TIME)):
            waiting = self._turns.popleft()
            if waiting.call.id not in self._calls:
                continue
            self._look_at(waiting)
            if waiting.call.id in self._calls:
                self._turns.append(waiting)
        if self._turns:
            self._look = self._loop.call_later(_LOOK_INTERVAL_S, self._on_look)

    def _look_at(self, waiting: _Call) -> None:
        try:
            has_signal = has_pending_signal(Path(f"/proc/{waiting.call.tid}/status").read_bytes())
        except OSError:
            has_signal = False
        if not self._listener.is_valid(waiting.call.id):
            self._take_out(waiting)
            waiting.tell(GAVE_UP)
        elif has_signal:
            # Natively a connect with a timeout is not started anew (inet_stream_connect, sock_intr_errno).
            self._end(waiting, errno.EINPROGRESS, errno.EINTR if waiting.is_timed else ERESTARTSYS)


class _Call:
    """One of them."""

    __slots__ = ("_on_end", "call", "is_timed", "sock", "timer")

    def __init__(
        self, call: Notification, sock: socket.socket, on_end: Callable[[int], None] | None, *, is_timed: bool
    ) -> None:
        self.call = call
        self.sock = sock
        self.is_timed = is_timed
        self.timer: asyncio.TimerHandle | None = None
        self._on_end = on_end

    def tell(self, code: int) -> None:
        try:
            if self._on_end is not None:
                self._on_end(code)
        finally:
            self.sock.close()


def _send_timeout_s(sock: socket.socket) -> float:
    seconds, microseconds = struct.unpack("=qq", sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))
    return float(seconds + microseconds / 1e6)
