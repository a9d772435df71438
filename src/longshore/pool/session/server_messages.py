"""What a session does with the messages of its server connection (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.listening import Listening
from longshore.pool.session.prepared import NAME_PREFIX
from longshore.pool.session.rename import SYNC
from longshore.pool.session.tags import (
    AGAIN,
    LISTEN_HERE,
    PROBE,
    RESTORE,
    RETRY,
    UNLISTEN_HERE,
    Deallocating,
    Replay,
    Unread,
)
from longshore.pool.session.wire import Refused
from longshore.proto.postgres.backend_messages import ErrorResponse
from longshore.proto.postgres.constants import BackendType, FrontendType, TransactionStatus
from longshore.proto.postgres.errors import error_response, is_session_end
from longshore.proto.postgres.framing import Frame, FrameStart, Run
from longshore.proto.postgres.frontend import Outcome
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.relay import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["ServerMessages"]

_B = BackendType
_Z, _E, _T, _C = int(_B.ReadyForQuery), int(_B.ErrorResponse), int(_B.ParameterDescription), int(_B.CommandComplete)
_DATA_ROW, _PARAMETER_STATUS = int(_B.DataRow), int(_B.ParameterStatus)
_CANCELED: Final = "57014"
_MAX_PROBES: Final = 5
_ALL_GONE: Final = frozenset({b"DEALLOCATE ALL\0", b"DISCARD ALL\0"})


class ServerMessages(Listening):
    """See ``SessionEngine``."""

    _captured: bytearray | None = None
    """The row that answers a probe."""
    _reply_to: list[bytes] | None = None
    """Where chunks of a long message go."""
    _probes = 0
    """How often in a row one had no answer."""
    _is_restore_canceled = False

    def restore(self) -> None:
        """See ``SessionEngine``."""
        raise NotImplementedError

    def on_probe_answered(self) -> None:
        """See ``SessionEngine``."""
        raise NotImplementedError

    def probe_again(self, is_hopeless: bool) -> None:
        """See ``SessionEngine``."""
        raise NotImplementedError

    def on_restored(self, is_done: bool) -> None:
        """See ``SessionEngine``."""
        raise NotImplementedError

    def start_capture(self) -> None:
        """Keep the row that comes next for us."""
        self._captured = bytearray()

    def take_capture(self) -> bytes:
        """Return it."""
        captured, self._captured = bytes(self._captured or b""), None
        return captured

    def take_replies(self, events: Iterable[FrameEvent]) -> None:
        """Take messages of the server."""
        server = self.wire.server
        assert server is not None
        relay = server.relay
        for event in events:
            if isinstance(event, Frame):
                self._take_reply(event)
            elif isinstance(event, Run):
                if not relay.is_answering_pool:
                    self.wire.to_client.append(event.raw)
                elif self._captured is not None:
                    self._captured += event.raw
            elif isinstance(event, FrameStart):
                self._start_reply(event)
            elif self._reply_to is not None:
                self._reply_to.append(event.raw)

    def _start_reply(self, event: FrameStart) -> None:
        assert self.wire.server is not None
        self.attempt = None
        if event.type == _E:
            self.unit.has_error = True
        verdict = self.wire.server.relay.server_sent(event.type)
        is_ours = verdict in (Verdict.SWALLOW, Verdict.POOL_ERROR)
        self._reply_to = [] if is_ours else self.wire.to_client
        self._reply_to.append(event.raw)
        self.wire.collect()

    def _take_reply(self, frame: Frame) -> None:
        server = self.wire.server
        assert server is not None
        relay = server.relay
        kind, raw = frame.type, frame.raw
        self.last_reply = raw
        if kind == _E:
            self._take_error(raw)
            return
        if kind == _T:
            self.last_parameters = raw
        elif kind == _C and raw[5] == 0x44:  # D, as in DEALLOCATE ALL
            self._note_command(raw[5:])
        verdict = relay.server_sent(kind, raw[5] if kind == _Z else 0)
        if verdict is Verdict.FORWARD:
            self.attempt = None
            self.wire.to_client.append(raw)
            if kind == _Z:
                statistics = self.shared.statistics
                statistics.queries += 1
                statistics.transactions += raw[5] == 0x49  # I, idle
            if self.barrier and kind == _Z and not relay.outstanding_syncs:
                self.end_barrier()
        elif verdict is Verdict.ASYNCHRONOUS:
            self._take_asynchronous(kind, raw)
        elif kind == _DATA_ROW and self._captured is not None:
            self._captured += raw
        self.wire.collect()

    def _note_command(self, command: bytes) -> None:
        if command in _ALL_GONE:
            self.extended.forget_all()
            self.belongings.sql_prepared.clear()

    def _take_asynchronous(self, kind: int, raw: bytes) -> None:
        server = self.wire.server
        assert server is not None
        is_ours = server.relay.is_answering_pool
        if kind == _PARAMETER_STATUS:
            name, _, value = raw[5:-1].partition(b"\0")
            server.parameters[name] = value
            # While the session is restored it shall not hear of it: it has these values already.
            is_known = is_ours or (self.unit.has_reset and self.belongings.is_start_setting(name.decode()))
            if not is_known and self.parameters.get(name) != value:
                self.parameters[name] = value
                self.wire.to_client.append(raw)
        elif kind == _B.NotificationResponse:
            if self.hears(raw):
                self.wire.to_client.append(self.with_client_pid(raw))
        elif not is_ours:
            self.wire.to_client.append(raw)

    def tell_parameters(self) -> None:
        """Tell the client what differs from what it was told, once the session is restored."""
        server = self.wire.server
        assert server is not None
        if server.parameters == self.parameters:
            return
        for name, value in server.parameters.items():
            if self.parameters.get(name) != value:
                self.parameters[name] = value
                payload = name + b"\0" + value + b"\0"
                self.wire.to_client.append(b"S" + (len(payload) + 4).to_bytes(4, "big") + payload)

    # -- errors ----------------------------------------------------------------------------------

    def _take_error(self, raw: bytes) -> None:
        server = self.wire.server
        assert server is not None
        relay = server.relay
        error = parse_backend(_E, raw[5:])
        assert isinstance(error, ErrorResponse)
        tag = relay.head_tag
        if isinstance(tag, Deallocating):
            tag.is_failed = True
        if isinstance(tag, Unread):
            tag.is_syntax_error = relay.is_unanswered and _is_syntax_error(error)
        self.unit.has_error |= not (isinstance(tag, Unread) and tag.is_syntax_error)
        verdict = relay.server_sent(_E, int(is_session_end(error)))
        if verdict is Verdict.FORWARD and self._try_again(error):
            self.wire.collect()
            return
        self.attempt = None
        if NAME_PREFIX in raw:
            raw = self.extended.with_client_names(raw)
        if verdict is Verdict.POOL_ERROR:
            self._take_own_error(tag, error, raw)
        else:
            self.wire.to_client.append(raw)
        self.wire.collect()

    def _try_again(self, error: ErrorResponse) -> bool:
        """Begin to send a batch once more that failed with its first statement."""
        attempt, self.attempt = self.attempt, None
        server = self.wire.server
        assert server is not None
        relay = server.relay
        if attempt is None or not attempt.is_worth_repeating(error) or relay.status is not TransactionStatus.IDLE:
            return False
        if relay.is_skipping and not relay.pending:
            self.wire.inject(SYNC, FrontendType.Sync, RETRY)
        elif not relay.take_over(RETRY):
            return False
        self.is_waiting = True
        self.extended.outdated = attempt.prepared
        self.inbox.extendleft(reversed(attempt.frames))
        return True

    def _take_own_error(self, tag: object, error: ErrorResponse, raw: bytes) -> None:
        """Something that we put in failed."""
        if isinstance(tag, Refused):
            self.wire.to_client.append(tag.error)
        elif isinstance(tag, Replay):
            # Its EXECUTE will say that there is no such statement.
            assert self.wire.server is not None
            self.wire.server.sql_prepared.discard(tag.name)
        elif tag is PROBE or tag is RESTORE:
            self._probes += tag is PROBE
            self._is_restore_canceled = tag is RESTORE
            if error.sqlstate != _CANCELED:
                self._fail(error)
        elif tag is LISTEN_HERE or tag is UNLISTEN_HERE:
            if not self.is_cancel_of_unlisten(tag, error):
                self._fail(error)
        elif tag is AGAIN:
            assert self.wire.server is not None
            if self.wire.server.relay.is_closed:
                self.wire.to_client.append(raw)
        elif self.wire.server is not None and self.wire.server.relay.is_own_batch:
            pass  # before a simple query: the query will fail for the same reason
        else:
            self.wire.to_client.append(raw)  # a Parse in front of the client's Bind: its batch fails with that

    def _fail(self, error: ErrorResponse) -> None:
        self.failure_cause = error
        self.failure = error_response(
            "FATAL",
            "08006",
            "the session cannot be carried over to another server connection",
            detail=error.message,
            hint="connect again",
        )

    # -- what ended ------------------------------------------------------------------------------

    def on_finished(self, tag: object, outcome: Outcome) -> None:
        """Take how a request ended."""
        server = self.wire.server
        assert server is not None
        if tag is PROBE:
            self._probe_ended()
        elif tag is RESTORE:
            is_done, self._is_restore_canceled = not self._is_restore_canceled, False
            self.on_restored(is_done)
        elif tag is RETRY:
            self._send_again()
        elif tag is LISTEN_HERE or tag is UNLISTEN_HERE:
            self.on_own_listening(tag)
        elif isinstance(tag, Unread):
            if not tag.is_syntax_error:
                self.note(tag.facts, tag.text)
        elif isinstance(tag, Deallocating):
            if outcome is Outcome.DONE and not tag.is_failed:
                self.extended.statements.pop(tag.name, None)
        elif tag is not AGAIN and not isinstance(tag, (Refused, Replay)):
            self.extended.finished(tag, outcome)

    def _probe_ended(self) -> None:
        if self._captured:
            self._probes = 0
            self.on_probe_answered()
        elif self.failure is None:
            self.probe_again(self._probes > _MAX_PROBES)

    def _send_again(self) -> None:
        """Forget the outdated statement, if it has a name; the batch lies in the inbox."""
        outdated, self.extended.outdated = self.extended.outdated, None
        if outdated is not None:
            self.extended.renew(outdated)
        self.unit.has_error = False
        self.is_waiting = False


def _is_syntax_error(error: ErrorResponse) -> bool:
    """Return True when the text was refused before anything in it was run."""
    is_from_parser = (b"R", b"scanner_yyerror") in error.fields
    return is_from_parser and not any(code in (b"W", b"q") for code, _ in error.fields)
