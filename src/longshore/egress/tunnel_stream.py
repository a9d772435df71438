"""``TunnelStream``: the worker's end of a tunnel as a ``ByteStream`` (shell; runs in the worker).

End-of-file on the descriptor says that everything which arrived has been read, and not how it ended: that the egress
process tells in a message of its own, which may come earlier or later. So an end is reported when both are here, and
until then there is "nothing yet" (rule K5). The other way round, the egress process is told what this side does
(``EndTunnel``), for it would take the death of this process for an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from longshore.errors import ResetError, SocketError

if TYPE_CHECKING:
    from longshore.abc import StreamOwner
    from longshore.net.streams import FdStream

__all__ = ["Tell", "TunnelStream"]

Tell: TypeAlias = Callable[[Literal["write", "close", "abort"]], None]


class TunnelStream:
    """The plain side of a TLS connection whose TLS is made by the egress process.

    Args:
        inner: over the descriptor that came with ``Dialed(is_tunnel=True)``; belongs to this stream from now on.
        tell: says ``EndTunnel(dial_id=…, step=…)``; must not raise.
    """

    __slots__ = ("_inner", "_is_at_end", "_is_blocked", "_is_closed", "_owner", "_tell", "_verdict", "_write_ended")

    def __init__(self, inner: FdStream, tell: Tell) -> None:
        self._inner = inner
        self._tell = tell
        self._owner: StreamOwner | None = None
        self._verdict: tuple[SocketError | None] | None = None
        self._is_at_end = False
        self._is_blocked = False
        self._is_closed = False
        self._write_ended = False

    def ended(self, error: SocketError | None) -> None:
        """Take the news of how the peer's direction has ended: ``TunnelEnded``, or the egress process is gone.

        Bytes that arrived before are still read first.

        Args:
            error: None for an orderly end.
        """
        if self._verdict is not None or self._is_closed:
            return
        self._verdict = (error,)
        if self._owner is None:
            return
        if error is not None and self._is_blocked:
            self._is_blocked = False
            self._owner.on_writable()
        if isinstance(error, ResetError) and self._has_unread():
            self._tell_owner_broken(error)
        elif self._is_at_end:
            self._tell_owner_readable()

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness; of an end that is known already, too."""
        self._owner = owner
        self._inner.set_owner(None if owner is None else self)

    # -- reading ---------------------------------------------------------------------------------

    def try_read(self, max_bytes: int) -> bytes | None:
        """Read what is there; see ``ByteStream.try_read``."""
        if not self._is_at_end:
            try:
                data = self._inner.try_read(max_bytes)
            except ResetError:
                data = b""  # of the socket pair, which says nothing about the connection
            if data != b"":
                return data
        return None if self._wait_for_verdict() else b""

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Read into the caller's memory; see ``ByteStream.try_read_into``."""
        if not self._is_at_end:
            try:
                count = self._inner.try_read_into(buffer)
            except ResetError:
                count = 0
            if count != 0:
                return count
        return None if self._wait_for_verdict() else 0

    def peek(self) -> bool | None:
        """Look at what is there; see ``ByteStream.peek``."""
        if not self._is_at_end:
            try:
                found = self._inner.peek()
            except ResetError:
                found = False
            if found is not False:
                return found
        return None if self._wait_for_verdict() else False

    def _wait_for_verdict(self) -> bool:
        """Note that the descriptor is at its end; False when that is the peer's orderly end.

        Raises:
            SocketError: it is not.
        """
        self._is_at_end = True
        if self._is_closed:
            self._inner.peek()  # raises what a closed stream raises
        if self._verdict is None:
            return True
        (error,) = self._verdict
        if error is not None:
            raise error.with_traceback(None)
        return False

    def _has_unread(self) -> bool:
        try:
            return not self._is_at_end and self._inner.peek() is True
        except SocketError:
            return False

    # -- writing ---------------------------------------------------------------------------------

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Hand the front of ``data`` to the egress process; see ``ByteStream.try_write``."""
        if self._verdict is not None and self._verdict[0] is not None and not self._is_closed:
            raise self._verdict[0].with_traceback(None)
        count = self._inner.try_write(data)
        self._is_blocked = count < len(data)
        return count

    def flush(self) -> bool:
        """Hold nothing back: always True."""
        return self._inner.flush()

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """End the write direction: close_notify follows what was written."""
        if not self._write_ended:
            self._inner.try_write_eof()
            self._write_ended = True
            self._tell("write")
        return True

    # -- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the connection; what was written is still delivered."""
        if not self._is_closed:
            self._release("close")
            self._inner.close()

    def abort(self) -> None:
        """Reset the connection."""
        if not self._is_closed:
            self._release("abort")
            self._inner.abort()

    def _release(self, step: Literal["close", "abort"]) -> None:
        self._is_closed = True
        self._owner = None
        self._tell(step)

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._inner.fileno()

    # -- readiness of the descriptor -------------------------------------------------------------

    def on_readable(self) -> None:
        """Bytes or the end of the descriptor are there."""
        self._tell_owner_readable()

    def on_writable(self) -> None:
        """There is room, or the egress process has closed its end."""
        self._is_blocked = False
        if self._owner is not None:
            self._owner.on_writable()

    def on_broken(self, error: Exception) -> None:
        """The egress process has closed its end behind unread bytes; how the connection ended, it says otherwise."""

    def _tell_owner_readable(self) -> None:
        if self._owner is not None:
            self._owner.on_readable()

    def _tell_owner_broken(self, error: SocketError) -> None:
        if self._owner is not None:
            self._owner.on_broken(error)
