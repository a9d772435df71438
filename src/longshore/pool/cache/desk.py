"""Where a session asks the cache before it asks for a server connection, and tells it of writes (PURE).

The session engine calls it at these places: ``look`` when messages of the client have come and there is no server
connection; ``attached``, ``before`` and ``after`` around what the server says; ``sent`` for each message to it;
``cancelled`` and ``close``. What the desk does by itself (a result has come that the session waited for) it tells by
``SessionCore.on_wake``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.cache.asking import Asking
from longshore.pool.cache.batch import batch_at
from longshore.pool.cache.lane_pass import LanePass
from longshore.pool.cache.model import Reason
from longshore.pool.cache.question import Question
from longshore.pool.cache.read_cache import Look
from longshore.pool.cache.recording import Recording
from longshore.pool.cache.repeats import Repeats
from longshore.pool.cache.replies import Replies
from longshore.pool.cache.write_notes import WriteNotes
from longshore.pool.cache.writes import may_confirm
from longshore.proto.postgres.constants import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.cache.batch import Batch
    from longshore.pool.cache.memory import Entry
    from longshore.pool.cache.pool_cache import PoolCache, Timer
    from longshore.pool.cache.question import Flight
    from longshore.pool.cache.remote import Fetched, Remote
    from longshore.pool.session.engine import SessionEngine
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Desk"]

_UNDECIDED: Final = object()


class Desk:
    """One for each session of a pool with a cache.

    Args:
        session: whose.
        cache: of its pool.
    """

    def __init__(self, session: SessionEngine, cache: PoolCache) -> None:
        self.is_waiting = False
        """For the answer to somebody else's question."""
        self.holds_output = False
        """What the client would hear must wait: other machines are not told yet of what it wrote."""
        self._session = session
        self._cache = cache
        self._asking = Asking(session, cache)
        self._replies = Replies(session, cache, self._asking)
        self._repeats = Repeats(session, cache, self._asking, self._replies)
        self._notes = WriteNotes(session, cache, self._asking)
        self._lane = LanePass(session, cache, self._asking)
        self._comes_from_lane = False
        self._decided: object = _UNDECIDED  # the message at the head that goes to the server
        self._question: Question | None = None
        self._flight: Flight | None = None  # that the session leads or waits for
        self._recording: Recording | None = None
        self._seen = 0  # of what goes to the client, how much the recording has taken
        self._status = TransactionStatus.IDLE
        self._timer: Timer | None = None
        self._ticket = 0  # of the last question to a store elsewhere

    def join(self) -> None:
        """Begin in the middle of a session; whoever switches the cache on notes what it may have written so far."""
        self._pass_on()
        if self._session.wire.server is not None:
            self.before()

    # -- without a server connection -------------------------------------------------------------

    def answer_repeated(self, data: bytes) -> bytes | None:
        """Return the answer to what a client has sent, when just that was answered before; None: ``look`` at it."""
        session = self._session
        if session.wire.server is not None or session.inbox or session.wire.to_client or self.is_blocked:
            return None
        return self._repeats.answer(data)

    def look(self) -> None:
        """Answer the messages of the client that wait, as far as they can be answered without the database."""
        session = self._session
        if self._comes_from_lane:
            self._comes_from_lane = False
            batch = batch_at(session.inbox)
            self._notes.counted = batch.main if batch is not None else None
            self._pass_on()
            return
        while session.inbox and not self.is_waiting and session.inbox[0] is not self._decided:
            if self.is_blocked or not self._answer_first():
                self._pass_on()
                return
            session.answer_alone()

    def lane(self) -> LanePass | None:
        """Return who judges what the fast lane may take; None: nothing now."""
        return None if self.is_blocked or self.is_waiting else self._lane

    def leave_lane(self) -> None:
        """Take that the next messages come from the fast lane: they have been counted, and go to the server."""
        self._comes_from_lane = True

    def _pass_on(self) -> None:
        """Let the first message go to the server, unless it waits for an answer."""
        inbox = self._session.inbox
        if inbox and not self.is_waiting:
            self._decided = inbox[0]

    @property
    def is_blocked(self) -> bool:
        """True while the session itself must not be answered from the cache."""
        session = self._session
        return self.holds_output or session.is_skipping_alone or session.is_ended

    def _answer_first(self) -> bool:
        batch = batch_at(self._session.inbox)
        if batch is None:
            return False
        if batch.query is None and not batch.executes:
            return self._replies.prepare(batch)
        question = self._ask(batch)
        if question is None:
            return False
        self._question = question
        if self._cache.cache.remote is not None:
            self._fetch(question, self._cache.cache.remote)
            return False
        return self._act(*self._cache.cache.look(question, self._cache.versions, self), question)

    def _fetch(self, question: Question, remote: Remote) -> None:
        """Ask the store that several machines share; the session waits for its answer."""
        if not remote.is_available:
            self._notes.counted = question.batch.main
            self._note(Reason.STORE_UNAVAILABLE)
            return
        self._ticket += 1
        ticket = self._ticket
        self.is_waiting = True
        remote.fetch(question, self._cache.account.place, lambda fetched: self._fetched(ticket, question, fetched))

    def _fetched(self, ticket: int, question: Question, fetched: Fetched | None) -> None:
        if ticket != self._ticket or not self.is_waiting:
            return  # it was cancelled meanwhile
        session = self._session
        self.is_waiting = False
        if fetched is None:
            self._notes.counted = question.batch.main
            self._cache.outside.note(Reason.STORE_UNAVAILABLE, question.text, 0, question.ignored)
            self._decided = session.inbox[0]
        elif self._act(*self._cache.cache.decide(question, fetched, self), question):
            session.answer_alone()
            self.look()
        elif not self.is_waiting:
            self._decided = session.inbox[0]
        session.on_wake()

    def _ask(self, batch: Batch) -> Question | None:
        """Return the question of a batch; None: not for the cache, and that has been noted."""
        source = self._replies.source(batch)
        if source is None:
            return None
        question = self._asking.question(batch, *source)
        session = self._session
        if isinstance(question, Question) and (session.belongings.pins or session.channels):
            question = Reason.PINNED
        if isinstance(question, Question):
            return question
        if question is not None:
            self._notes.counted = batch.main
            self._note(question)
        return None

    def _act(self, look: Look, found: Entry | Flight | None, question: Question) -> bool:
        """Do what the cache says; return whether the question is answered."""
        if look in (Look.HIT, Look.STALE, Look.STALE_REFRESH):
            self._serve(question, found, Reason.HIT if look is Look.HIT else Reason.STALE)  # type: ignore[arg-type]
            if look is Look.STALE_REFRESH:
                flight = self._cache.cache.begin_refresh(question, found)  # type: ignore[arg-type]
                self._cache.outside.refresh(question, flight)
            return True
        if look is Look.WAIT:
            self._flight = found  # type: ignore[assignment]
            self.is_waiting = True
            self._timer = self._cache.outside.later(self._cache.max_wait_s, self._give_up)
        else:
            self._notes.counted = question.batch.main
            self._note(Reason.OVERSIZED_RESULT if look is Look.ALONE else Reason.MISS)
            if look is Look.LEAD:
                self._begin_recording(found, question)  # type: ignore[arg-type]
        return False

    def _serve(self, question: Question, entry: Entry, reason: Reason) -> None:
        if reason is Reason.HIT:
            self._repeats.note(question)
        self._replies.serve(question, entry)
        self._cache.outside.note(reason, question.text, entry.size, question.ignored)

    def _note(self, reason: Reason) -> None:
        self._cache.outside.note(reason, self._asking.text, 0, self._asking.ignored)

    def _begin_recording(self, flight: Flight, question: Question) -> None:
        self._flight, self._question = flight, question
        self._recording = Recording(question.max_bytes, is_simple=question.batch.query is not None)

    # -- Waiter ----------------------------------------------------------------------------------

    def serve(self, entry: Entry) -> None:
        """Take the answer that the session waited for."""
        question = self._stop_waiting()
        self._serve(question, entry, Reason.SHARED)
        self._session.answer_alone()
        self.look()
        self._session.on_wake()

    def go_alone(self) -> None:
        """Ask the database, without anybody waiting for it."""
        question = self._stop_waiting()
        self._go(question)
        self._session.on_wake()

    def lead(self, flight: Flight) -> None:
        """Ask the database, while others wait."""
        question = self._stop_waiting()
        self._begin_recording(flight, question)
        self._go(question)
        self._session.on_wake()

    def _go(self, question: Question) -> None:
        self._decided = self._session.inbox[0]
        self._notes.counted = question.batch.main
        self._cache.outside.note(Reason.MISS, question.text, 0, question.ignored)

    def _stop_waiting(self) -> Question:
        assert self._question is not None
        self.is_waiting = False
        self._flight = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._question

    def _give_up(self) -> None:
        flight = self._flight
        if self.is_waiting and flight is not None:
            self._cache.cache.leave(flight, self)
            self.go_alone()

    def cancelled(self) -> None:
        """Take that the question is not to be answered."""
        self._ticket += 1
        if self.is_waiting:
            if self._flight is not None:
                self._cache.cache.leave(self._flight, self)
            self._stop_waiting()
        self._fail_flight()

    def close(self) -> None:
        """Take that the session is over."""
        self.cancelled()

    # -- with a server connection ----------------------------------------------------------------

    def attached(self) -> None:
        """Take that the messages go to the server now."""
        session = self._session
        if self._recording is not None and not (session.inbox and session.inbox[0] is self._decided):
            self._fail_flight()
        self._decided = _UNDECIDED
        self._notes.at_rest()
        self.before()

    def before(self) -> None:
        """Take that the server is about to be heard."""
        session = self._session
        self._seen = len(session.wire.to_client)
        assert session.wire.server is not None
        self._status = session.wire.server.relay.status

    def after(self, events: Iterable[FrameEvent]) -> None:
        """Take that it was, and that nothing of it has been sent to the client yet."""
        server = self._session.wire.server
        is_at_rest = server is not None and server.relay.is_idle and server.relay.status is TransactionStatus.IDLE
        if server is not None and server.writes is not None and may_confirm(events, self._status):
            self.holds_output |= self._cache.confirmed(server.writes, self._published)
            if is_at_rest:
                server.writes = None
        if is_at_rest and not self._session.inbox:
            self._notes.at_rest()
        self._record()
        self._replies.learn()

    def _record(self) -> None:
        recording, to_client = self._recording, self._session.wire.to_client
        if recording is None:
            return
        recording.take(to_client[self._seen :])
        self._seen = len(to_client)
        if not recording.is_over and not recording.failed and not recording.is_oversized:
            return
        flight, question = self._flight, self._question
        assert flight is not None
        assert question is not None
        cache, answer = self._cache.cache, recording.answer()
        self._recording = self._flight = None
        if answer is not None:
            cache.landed(flight, question, self._cache.versions, answer)
        elif recording.failed:
            self._cache.outside.note(Reason.FAILED, question.text, 0, "")
            cache.failed(flight)
        else:
            self._cache.outside.note(Reason.OVERSIZED_RESULT, question.text, 0, "")
            cache.oversized(flight, question.max_age_s)

    def _fail_flight(self) -> None:
        flight, self._flight, self._recording = self._flight, None, None
        if flight is not None:
            self._cache.cache.failed(flight)

    def _published(self) -> None:
        self.holds_output = False
        self._session.on_wake()

    def sent(self, event: FrameEvent) -> None:
        """Take a message of the client on its way to the server."""
        self._notes.sent(event)
