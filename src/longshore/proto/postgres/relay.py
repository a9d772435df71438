"""We stand between a client and a server (PURE): who gets which reply.

Three kinds of requests share one queue, because replies come in the order of requests: the client's, those that the
pool puts in (a Parse before a Bind, a reset), and those that the pool answers itself (Close of a statement that it
keeps). Their answers go to the client, to the pool, or come out of ``take_local`` when their turn has come. What was
asked behind an error is not answered, whoever asked: so an invented reply can never come where none would have.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.frontend import UNASKED, Entry, FrontendState, Outcome, Sent
from longshore.proto.postgres.states import Expect

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RelayState", "Verdict"]

_E = int(BackendType.ErrorResponse)


class Verdict(Enum):
    """What to do with a message of the server."""

    FORWARD = auto()
    SWALLOW = auto()
    """It answers the pool."""
    POOL_ERROR = auto()
    """An error in what the pool put in: swallow it, or forward it as the error of the client's batch."""
    ASYNCHRONOUS = auto()
    """It answers nobody: a notice, a notification, a parameter, or why the server closes."""


_FORWARD = Verdict.FORWARD


class RelayState(FrontendState):
    """The queue of one server connection as a relay sees it.

    Args:
        is_ready: True for a connection that has been logged in already.
    """

    __slots__ = ("_finished", "_local")

    def __init__(self, *, is_ready: bool = True) -> None:
        super().__init__(is_ready=is_ready)
        self._finished: list[tuple[object, Outcome]] = []
        self._local: list[bytes] = []

    def client_sent(self, message_type: int, detail: int = 0, *, tag: object = None) -> Sent:
        """Note a message of the client that is to be forwarded; see ``FrontendState.sent``.

        Raises:
            ProtocolViolation: not legal now; the state is as before.
        """
        return self._note(message_type, detail, False, tag)

    def pool_sent(self, message_type: int, detail: int = 0, *, tag: object = None) -> Sent:
        """Note a message that the pool puts in. With ``DROP`` it must not be sent: the server is skipping.

        Raises:
            ProtocolViolation: not legal now; the state is as before.
        """
        return self._note(message_type, detail, True, tag)

    @property
    def is_answering_pool(self) -> bool:
        """True when what is due next answers the pool: a notice that comes now is about its own statement."""
        return bool(self._queue) and self._queue[0].is_ours

    @property
    def is_unsynced(self) -> bool:
        """True when there was a message of the extended protocol since the last Sync or Query."""
        return self._is_unsynced

    @property
    def is_own_batch(self) -> bool:
        """True when the Sync that is due next is the pool's: what it ends is nothing of the client's."""
        return bool(self._queue) and self._queue[0].expect is Expect.SYNC and self._queue[0].is_ours

    @property
    def head_tag(self) -> object:
        """Of the request that is due next."""
        return self._queue[0].tag if self._queue else None

    @property
    def is_unanswered(self) -> bool:
        """True when the Query that is due next has had no reply so far."""
        return bool(self._queue) and self._queue[0].expect is Expect.QUERY

    def fail(self, reply: bytes, *, tag: object = None) -> Sent:
        """Note a message of the extended protocol that we refuse: like ``answer``, and skip up to the next Sync."""
        sent = self.answer(reply, tag=tag)
        self._is_skipping = True
        return sent

    def answer(self, reply: bytes, *, is_sync: bool = False, tag: object = None) -> Sent:
        """Note a message of the client that the server never sees, and what the client is to get for it.

        Args:
            reply: bytes for the client; they come out of ``take_local`` in their turn.
            is_sync: the message was a Sync: ends the skipping, and is answered after an error too.
            tag: see ``take_finished``.
        """
        if self._is_skipping and not is_sync:
            return Sent.DROP
        if is_sync:
            self._is_skipping = self._is_unsynced = False
        self._queue.append(Entry(Expect.LOCAL_SYNC if is_sync else Expect.LOCAL, tag=tag, reply=reply))
        self._trim()
        return Sent.FORWARD

    def server_sent(self, message_type: int, detail: int = 0) -> Verdict:
        """Take a message of the server; return who gets it.

        Raises:
            ProtocolViolation: the server must not say that now.
        """
        entry = self.received(message_type, detail)
        if entry is None:
            return _FORWARD if message_type == BackendType.ReadyForQuery else Verdict.ASYNCHRONOUS
        if not entry.is_ours:
            return _FORWARD
        return Verdict.POOL_ERROR if message_type == _E else Verdict.SWALLOW

    def take_over(self, tag: object) -> bool:
        """Swallow the answer to a Sync of the client that is all that is due; False when something else is due too.

        For a batch that failed and that the pool is going to send once more.
        """
        queue = self._queue
        if len(queue) != 1 or queue[0].expect is not Expect.SYNC:
            return False
        queue[0].is_ours, queue[0].tag = True, tag
        return True

    def take_local(self) -> Sequence[bytes]:
        """Return the replies whose turn has come; send them behind what ``server_sent`` let through."""
        local, self._local = self._local, []
        return local

    def take_finished(self) -> Sequence[tuple[object, Outcome]]:
        """Return the tags of requests that ended since the last call, and how."""
        finished, self._finished = self._finished, []
        return finished

    def _trim(self) -> None:
        queue = self._queue
        while queue and queue[0].expect in UNASKED:
            entry = queue.popleft()
            if entry.reply is not None:
                self._local.append(entry.reply)
            self._end(entry, Outcome.DONE)

    def _end(self, entry: Entry, outcome: Outcome) -> None:
        if entry.tag is not None:
            self._finished.append((entry.tag, outcome))
