"""What a transaction on a server connection may have written, until that is confirmed (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import BackendType, TransactionStatus
from longshore.proto.postgres.framing import Frame, Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["PendingWrites", "may_confirm"]

_MAX_RELATIONS: Final = 200
_READY: Final = int(BackendType.ReadyForQuery)
_COMMAND_COMPLETE: Final = int(BackendType.CommandComplete)
_IDLE: Final = ord("I")
_COMMITS: Final = (b"COMMIT", b"PREPARE TRANSACTION")


class PendingWrites:
    """Grows with each statement that is sent; is taken away when the transaction is over.

    Args:
        epoch: of the catalogue by which the first statement was judged.
    """

    __slots__ = ("changes_catalogue", "epoch", "is_everything", "relations")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.relations: set[int] = set()
        self.is_everything = False
        self.changes_catalogue = False

    def add(self, relations: frozenset[int] | None, *, changes_catalogue: bool = False) -> None:
        """Note a statement; None: it may have written to anything."""
        self.changes_catalogue |= changes_catalogue
        if relations is None or len(self.relations) > _MAX_RELATIONS:
            self.is_everything = True
        else:
            self.relations |= relations

    def written(self) -> frozenset[int] | None:
        """Return the relations; None: anything."""
        return None if self.is_everything else frozenset(self.relations)


def may_confirm(events: Iterable[FrameEvent], status: TransactionStatus) -> bool:
    """Return whether a client that hears this may take it for the word that its writes are there for all.

    Args:
        events: of the server.
        status: of the transaction before.
    """
    is_autocommit = status is TransactionStatus.IDLE
    for event in events:
        if isinstance(event, Run):
            if is_autocommit or any(each in event.raw for each in _COMMITS):
                return True
        elif isinstance(event, Frame):
            if event.type == _COMMAND_COMPLETE and (is_autocommit or event.raw[5:].startswith(_COMMITS)):
                return True
            if event.type == _READY and event.raw[5] == _IDLE:
                return True
    return False
