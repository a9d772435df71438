"""We are the client: what was asked of a server, and what it may answer (PURE; manual: Message Flow, Pipelining).

The heart is a queue with one entry for each request in flight. Every message to the server goes through ``sent``,
every one from it through ``received``. Rules that are easily got wrong, and where they are kept:

1. After an error in the extended protocol the server discards all up to the next Sync, a Query too: ``_skip``.
2. In COPY-in mode it ignores Flush and Sync, also those that were sent before we knew of the COPY: ``_start_copy_in``.
   When such a COPY fails nobody can tell how many of those it had read: they are *uncertain*, each may give one more
   ReadyForQuery; the next reply of another kind settles it.
3. Queue empty is not idle: between a Flush and a Sync there is an implicit transaction: ``is_idle``.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from longshore.proto.postgres.constants import (
    ASYNCHRONOUS_TYPES,
    EXTENDED_QUERY_TYPES,
    AuthCode,
    BackendType,
    FrontendType,
    TransactionStatus,
)
from longshore.proto.postgres.detail import backend_detail, frontend_detail
from longshore.proto.postgres.states import COPYING_IN, REPLIES, REQUESTS, SYNC_POINTS, Expect
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from longshore.proto.postgres.backend_messages import BackendMessage
    from longshore.proto.postgres.frontend_messages import FrontendMessage

__all__ = ["Entry", "FrontendState", "Outcome", "Sent"]

_STATEMENT = ord("S")
_COPY_ENDS = (int(FrontendType.CopyDone), int(FrontendType.CopyFail))
_IGNORED_IN_COPY = (int(FrontendType.Flush), int(FrontendType.Sync))
_MODAL = {
    Expect.STARTUP: frozenset({int(FrontendType.PasswordMessage)}),
    Expect.PARAMETERS: frozenset[int](),
    Expect.QUERY_COPY_BOTH: frozenset({int(FrontendType.CopyData), *_COPY_ENDS}),
}
"""What may be sent while the head of the queue is one of these, apart from Terminate."""
_READY_KINDS = frozenset(
    kind for kind in Expect if kind.name.startswith("QUERY") or kind in (Expect.SYNC, Expect.FUNCTION_CALL)
)
_UNSEEN = frozenset({Expect.LOCAL, Expect.LOCAL_SYNC})
UNASKED = frozenset({Expect.COPY_END, *_UNSEEN})
_STATUSES = {int(status): status for status in TransactionStatus}

# For the hot path: a member of an enumeration costs a look-up in its class each time.
_DONE, _SYNC = Expect.DONE, Expect.SYNC
_DESCRIBE = int(FrontendType.Describe)
_Z = int(BackendType.ReadyForQuery)
_E = int(BackendType.ErrorResponse)
_R = int(BackendType.Authentication)


class Sent(Enum):
    """What becomes of a message to the server."""

    FORWARD = auto()
    DROP = auto()
    """The server would read and forget it; better not send it."""


_FORWARD = Sent.FORWARD


class Outcome(Enum):
    """How an entry ended."""

    DONE = auto()
    FAILED = auto()
    SKIPPED = auto()
    """It was discarded because one before it failed."""


class Entry:
    """One request in flight."""

    __slots__ = ("expect", "is_ours", "reply", "tag")

    def __init__(self, expect: Expect, is_ours: bool = False, tag: object = None, reply: bytes | None = None) -> None:
        self.expect = expect
        self.is_ours = is_ours  # the pool asked, not the client (relay)
        self.tag = tag  # whatever the caller wants to see again when it ends
        self.reply = reply  # of LOCAL entries


class FrontendState:
    """The client's view of one session, from the StartupMessage on.

    Args:
        is_ready: True for a connection that has been logged in already.
    """

    __slots__ = (
        "_ignored_syncs",
        "_is_closed",
        "_is_copying_in",
        "_is_lost",
        "_is_skipping",
        "_is_unsynced",
        "_outstanding",
        "_queue",
        "_uncertain",
        "status",
    )

    def __init__(self, *, is_ready: bool = False) -> None:
        self.status = TransactionStatus.IDLE
        self._queue: deque[Entry] = deque() if is_ready else deque([Entry(Expect.STARTUP)])
        self._outstanding = 0  # entries that end in a ReadyForQuery
        self._ignored_syncs = 0  # sent before the COPY-in mode was known, and ignored in it
        self._uncertain = 0  # the same, after the COPY failed
        self._is_copying_in = False  # the server waits for CopyData, and we have not said that it is over
        self._is_skipping = False  # the server waits for a Sync that was not sent yet
        self._is_unsynced = False  # there was an extended message since the last Sync or Query
        self._is_closed = False
        self._is_lost = False  # see `_find_offender`

    @property
    def outstanding_syncs(self) -> int:
        """How many ReadyForQuery are due."""
        return self._outstanding

    @property
    def uncertain_syncs(self) -> int:
        """How many more may come (rule 2)."""
        return self._uncertain

    @property
    def pending(self) -> int:
        """How many requests are in flight; a relay bounds it by not reading."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """True when nothing is due and nothing begun: with status IDLE the connection may change hands."""
        is_busy = self._queue or self._is_skipping or self._is_unsynced or self._uncertain
        return not (is_busy or self._is_closed or self._is_lost)

    @property
    def is_skipping(self) -> bool:
        """True when the server discards all up to a Sync that was not sent yet."""
        return self._is_skipping

    @property
    def is_copying_in(self) -> bool:
        """True when the server waits for CopyData."""
        return self._is_copying_in

    @property
    def is_lost(self) -> bool:
        """True when the client sent what makes the server's next replies ambiguous: give the connection up."""
        return self._is_lost

    @property
    def is_closed(self) -> bool:
        """True after Terminate, or an error that ends the session."""
        return self._is_closed

    @property
    def expects(self) -> tuple[Expect, ...]:
        """What is due, in order."""
        return tuple(entry.expect for entry in self._queue)

    def send(self, message: FrontendMessage) -> Sent:
        """Note a message to the server; see ``sent``."""
        return self.sent(message.type, frontend_detail(message))

    def receive(self, message: BackendMessage) -> Entry | None:
        """Take a message of the server; see ``received``."""
        return self.received(message.type, backend_detail(message))

    def sent(self, message_type: int, detail: int = 0) -> Sent:
        """Note the type of a message to the server.

        Args:
            message_type: its first byte.
            detail: ``S`` or ``P`` of Describe.

        Raises:
            ProtocolViolation: not legal now; the state is as before, and nothing may be sent.
        """
        return self._note(message_type, detail, False, None)

    def received(self, message_type: int, detail: int = 0) -> Entry | None:
        """Take the type of a server's message.

        Args:
            message_type: its first byte.
            detail: the status of ReadyForQuery, the code of Authentication, 1 for an error that ends the session.

        Returns:
            The request that it answers; None for one that answers none.

        Raises:
            ProtocolViolation: the server must not say that now; the connection is of no further use.
        """
        if self._queue:
            entry = self._queue[0]
            following = REPLIES[entry.expect].get(message_type)
            if following is not None:
                self._advance(entry, following, message_type, detail)
                return entry
        self._unexpected(message_type, detail)
        return None

    def _note(self, message_type: int, detail: int, is_ours: bool, tag: object) -> Sent:
        queue = self._queue
        expect = REQUESTS.get(message_type)
        is_usual = not (self._is_closed or self._is_copying_in or self._is_skipping)
        if expect is None or not is_usual or (queue and queue[0].expect in _MODAL):
            if (sent := self._note_unusual(message_type)) is not None:
                return sent
            expect = _SYNC
        if detail == _STATEMENT and message_type == _DESCRIBE:
            expect = Expect.DESCRIBE_STATEMENT
        self._is_unsynced = message_type in EXTENDED_QUERY_TYPES
        if expect in _READY_KINDS:
            self._outstanding += 1
        queue.append(Entry(expect, is_ours, tag))
        return _FORWARD

    def _note_unusual(self, message_type: int) -> Sent | None:
        """Note all but a request on an open session; return None for the Sync that ends the skipping."""
        if self._is_closed:
            raise ProtocolViolation("the session is over", message_type=message_type)
        if message_type == FrontendType.Terminate:
            self._is_closed = True
            return Sent.FORWARD
        if self._queue and self._queue[0].expect in _MODAL:
            return self._note_modal(self._queue[0].expect, message_type)
        if self._is_copying_in:
            return self._note_copy(message_type)
        if not self._is_skipping:
            return self._note_unanswered(message_type)
        if message_type != FrontendType.Sync:
            return Sent.DROP
        self._is_skipping = False
        return None

    def _note_modal(self, expect: Expect, message_type: int) -> Sent:
        """Note a message during the login or replication."""
        if message_type not in _MODAL[expect]:
            raise ProtocolViolation(f"not legal in state {expect.name}", message_type=message_type)
        return Sent.FORWARD

    def _note_copy(self, message_type: int) -> Sent:
        if message_type in _IGNORED_IN_COPY:
            return Sent.DROP
        if message_type in _COPY_ENDS:
            self._is_copying_in = False
        elif message_type != FrontendType.CopyData:
            raise ProtocolViolation("unexpected message during COPY from stdin", message_type=message_type)
        return Sent.FORWARD

    def _note_unanswered(self, message_type: int) -> Sent:
        """Note Flush, and COPY messages of a client who did not wait for the server's word, or has not heard it."""
        if message_type == FrontendType.PasswordMessage:
            raise ProtocolViolation("the login is over", message_type=message_type)
        if message_type == FrontendType.Flush:
            self._is_unsynced = True
            return Sent.FORWARD
        if message_type not in (FrontendType.CopyData, *_COPY_ENDS):
            raise ProtocolViolation("invalid frontend message type", message_type=message_type, is_fatal=True)
        if not self._queue:
            return Sent.DROP
        if message_type in _COPY_ENDS:
            self._queue.append(Entry(Expect.COPY_END))
        return Sent.FORWARD

    def _advance(self, entry: Entry, following: Expect, message_type: int, detail: int) -> None:
        """Make of the head what the table says."""
        if self._uncertain and message_type != _Z:
            self._uncertain = 0
        if following is _DONE:
            self._pop(entry, message_type, detail)
        elif following is Expect.SKIP:
            self._fail_step(entry)
        elif following is Expect.CLOSED:
            self._is_closed = True
        elif following is not entry.expect:
            self._change(entry, following)
        elif message_type == _R and detail == AuthCode.Ok:
            entry.expect = Expect.PARAMETERS
        if message_type == _E and detail:
            self._is_closed = True

    def _change(self, entry: Entry, following: Expect) -> None:
        was_copying = entry.expect in COPYING_IN
        entry.expect = following
        if following in COPYING_IN:
            self._start_copy_in()
        elif was_copying:
            self._end_copy_in(is_failed=following is Expect.SYNC)

    def _pop(self, entry: Entry, message_type: int, detail: int) -> None:
        queue, expect = self._queue, entry.expect
        if message_type == _Z:
            self.status = _status(detail)
            if expect is not Expect.PARAMETERS:
                self._outstanding -= 1
        elif expect is Expect.EXECUTE_COPY_IN:
            self._end_copy_in(is_failed=False)
        queue.popleft()
        if entry.tag is not None:
            self._end(entry, Outcome.DONE)
        if queue and queue[0].expect in UNASKED:
            self._trim()

    def _fail_step(self, entry: Entry) -> None:
        """Rule 1."""
        if entry.expect is Expect.EXECUTE_COPY_IN:
            self._end_copy_in(is_failed=True)
        self._queue.popleft()
        self._end(entry, Outcome.FAILED)
        self._skip()
        self._trim()

    def _skip(self) -> None:
        queue = self._queue
        while queue and queue[0].expect not in SYNC_POINTS:
            skipped = queue.popleft()
            if skipped.expect in _READY_KINDS:
                self._outstanding -= 1
            self._end(skipped, Outcome.SKIPPED)
        if not queue:
            self._is_skipping = True

    def _start_copy_in(self) -> None:
        """Rule 2: drop the Syncs between the request and the end of its COPY data, where that was sent already."""
        kept = [self._queue.popleft()]
        self._is_copying_in = True
        while self._queue and self._is_copying_in:
            entry = self._queue.popleft()
            if entry.expect is Expect.SYNC:
                self._ignored_syncs += 1
                self._outstanding -= 1
                self._end(entry, Outcome.SKIPPED)
            elif entry.expect in _UNSEEN:
                kept.append(entry)
            else:
                self._is_copying_in = False
                self._find_offender(entry, kept)
        self._queue.extendleft(reversed(kept))

    def _find_offender(self, entry: Entry, kept: list[Entry]) -> None:
        """Keep what stands behind the COPY data: their end, or a request that the server refuses in this mode.

        Such a request makes the COPY fail; behind an Execute the server then skips to the next Sync. But it may have
        failed before, and then a Sync in front of the request, or the request behind a Query, counted after all.
        Nobody can tell: the connection is lost.
        """
        if entry.expect is Expect.COPY_END:
            return
        kept.append(entry)
        if self._ignored_syncs or kept[0].expect is Expect.QUERY_COPY_IN:
            self._is_lost = True

    def _end_copy_in(self, *, is_failed: bool) -> None:
        self._is_copying_in = False
        self._uncertain = self._ignored_syncs if is_failed else 0
        self._ignored_syncs = 0

    def _unexpected(self, message_type: int, detail: int) -> None:
        """Take what the head of the queue does not wait for."""
        if message_type in ASYNCHRONOUS_TYPES:
            return
        if message_type == _Z and self._uncertain:
            self._uncertain -= 1
            self.status = _status(detail)
            return
        if message_type == _E and not self._queue:
            self._is_closed = True  # the server says why it closes: shutdown, timeout, terminated
            return
        state = self._queue[0].expect.name if self._queue else "IDLE"
        raise ProtocolViolation(f"not legal in state {state}", message_type=message_type, is_fatal=True)

    def _trim(self) -> None:
        """Take markers off the head: nothing is due for them."""
        while self._queue and self._queue[0].expect is Expect.COPY_END:
            self._queue.popleft()

    def _end(self, entry: Entry, outcome: Outcome) -> None:
        """Tell a subclass that an entry left the queue."""


def _status(code: int) -> TransactionStatus:
    """Return the status of ReadyForQuery; a relay may not have parsed it.

    Raises:
        ProtocolViolation: it is none.
    """
    if (status := _STATUSES.get(code)) is None:
        raise ProtocolViolation(f"unknown transaction status 0x{code:02x}", message_type=_Z, is_fatal=True)
    return status
