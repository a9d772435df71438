"""The answer to a read as it goes to the client, kept if it is one that may be (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.wire import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Recording"]

_B = BackendType
_READY: Final = int(_B.ReadyForQuery)
_PLACED: Final = frozenset({int(_B.ParseComplete), int(_B.CloseComplete)})
_BIND_COMPLETE: Final = int(_B.BindComplete)
_ROWS: Final = frozenset(map(int, (_B.ParameterDescription, _B.RowDescription, _B.NoData, _B.DataRow)))
_ENDS: Final = frozenset(map(int, (_B.CommandComplete, _B.PortalSuspended)))
_PARAMETER_STATUS: Final = int(_B.ParameterStatus)
_NOTIFICATION: Final = int(_B.NotificationResponse)
_IDLE: Final = ord("I")


class Recording:
    """Takes what goes to a client until the answer has ended.

    Args:
        max_bytes: of what is kept.
        is_simple: the answer is to a Query, where there is no BindComplete.
    """

    __slots__ = (
        "_head",
        "_is_bound",
        "_is_complete",
        "_max_bytes",
        "_skip_bytes",
        "_tail",
        "failed",
        "is_over",
        "size",
    )

    def __init__(self, max_bytes: int, *, is_simple: bool) -> None:
        self.is_over = False
        """The answer has ended; or nothing of it will be kept."""
        self.failed = False
        """It is not one that may be kept, whatever its length."""
        self.size = 0
        self._max_bytes = max_bytes
        self._head: list[bytes] = []  # what answers Describe of the statement
        self._tail: list[bytes] = []
        self._is_bound = is_simple
        self._is_complete = False  # all rows have come that were asked for
        self._skip_bytes = 0  # of a message that came in pieces

    @property
    def is_oversized(self) -> bool:
        """True when it is longer than what is kept."""
        return self.size > self._max_bytes

    def take(self, parts: Iterable[bytes]) -> None:
        """Take what the client gets next: whole messages, or pieces of long ones with whole headers."""
        for part in parts:
            if self.is_over:
                return
            self._take_part(part)

    def _take_part(self, part: bytes) -> None:
        position, size = 0, len(part)
        if self._skip_bytes:
            position = min(self._skip_bytes, size)
            self._skip_bytes -= position
            self._keep(self._tail, part[:position])
        while position < size and not self.is_over:
            kind, length = HEADER.unpack_from(part, position)
            end = position + 1 + length
            if end > size:
                self._skip_bytes = end - size
                end = size
            self._take_message(kind, part if end - position == size else part[position:end])
            position = end

    def _take_message(self, kind: int, raw: bytes) -> None:
        if kind in _ROWS:
            self._keep(self._tail if self._is_bound else self._head, raw)
        elif kind == _BIND_COMPLETE:
            self._is_bound = True
        elif kind in _ENDS:
            self.failed |= self._is_complete
            self._is_complete = True
            self._keep(self._tail, raw)
        elif kind == _READY:
            self.is_over = True
            self.failed |= not self._is_complete or raw[5] != _IDLE
        elif kind == _PARAMETER_STATUS:
            self.failed |= bool(self.size)  # before the answer it tells what another connection has
        elif kind not in _PLACED and kind != _NOTIFICATION:
            self.failed = True

    def _keep(self, where: list[bytes], raw: bytes) -> None:
        self.size += len(raw)
        if not self.failed and not self.is_oversized:
            where.append(raw)
        else:
            self._head.clear()
            self._tail.clear()

    def answer(self) -> tuple[bytes, bytes] | None:
        """Return what comes before and behind BindComplete; None when it is not to be kept."""
        if not self.is_over or self.failed or self.is_oversized:
            return None
        return b"".join(self._head), b"".join(self._tail)
