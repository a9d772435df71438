"""A batch that begins with a statement which a server connection has in an outdated form (PURE).

PostgreSQL says "cached plan must not change result type" when a table has changed since a statement was parsed. The
client may have prepared it after the change, on another connection: then it is not the client's error. If nothing
happened so far (the statement is the first thing that the server was asked, outside a transaction) it is parsed anew,
and the batch is sent once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.pool.session.prepared import Prepared
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import Frame, FrameEvent

__all__ = ["Attempt"]

_MAX_BYTES: Final = 1024 * 1024
_UNDEFINED: Final = "26000"
_UNSUPPORTED: Final = "0A000"
_ROUTINE: Final = b"RevalidateCachedQuery"


class Attempt:
    """The messages of a batch, kept until its first statement has been accepted.

    Args:
        prepared: its first statement.
        frame: the message about it.
    """

    __slots__ = ("_size", "frames", "is_repeatable", "prepared")

    def __init__(self, prepared: Prepared, frame: Frame) -> None:
        self.prepared = prepared
        self.frames: list[Frame] = [frame]
        self.is_repeatable = True
        self._size = len(frame.raw)

    def add(self, event: FrameEvent) -> None:
        """Keep what the client sent behind it."""
        self._size += len(event.raw)
        if not hasattr(event, "payload") or self._size > _MAX_BYTES:
            self.is_repeatable = False
            self.frames.clear()
        elif self.is_repeatable:
            self.frames.append(event)  # type: ignore[arg-type]  # of all events only a Frame has a payload

    def is_worth_repeating(self, error: ErrorResponse) -> bool:
        """Return whether parsing the statement anew may help."""
        if not self.is_repeatable:
            return False
        if error.sqlstate == _UNDEFINED:
            return True
        return error.sqlstate == _UNSUPPORTED and (b"R", _ROUTINE) in error.fields
