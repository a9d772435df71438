"""We are the server; and the two machines against each other, with a server that does what it likes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.backend import BackendState, Received
from longshore.proto.postgres.constants import AuthCode, BackendType, FrontendType, TransactionStatus
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.frontend import FrontendState, Sent
from longshore.proto.postgres.states import IGNORED, RECEIVED, SENT, Phase
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable


def test_login() -> None:
    state = BackendState()
    state.send(m.NegotiateProtocolVersion(196608))
    state.send(m.AuthenticationMD5Password(b"1234"))
    assert state.receive(m.PasswordMessage(b"x")) is Received.ACCEPTED
    state.send(m.AuthenticationOk())
    assert not state.is_reading
    state.send(m.ParameterStatus(b"a", b"b"))
    state.send(m.BackendKeyData(1, b"1234"))
    state.send(m.ReadyForQuery(ord("T")))
    assert state.status is TransactionStatus.IN_TRANSACTION
    assert state.phase is Phase.READY


def test_query_before_the_login_is_fatal() -> None:
    with pytest.raises(ProtocolViolation, match="AUTHENTICATION") as caught:
        BackendState().receive(m.Query(b"select 1"))
    assert caught.value.is_fatal


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_every_pair_moves_is_ignored_or_is_a_violation(phase: Phase) -> None:
    for message_type in range(256):
        state = BackendState(phase)
        if message_type in RECEIVED[phase]:
            assert state.received(message_type) is Received.ACCEPTED
            assert state.phase is RECEIVED[phase][message_type]
        elif message_type in IGNORED.get(phase, frozenset()):
            assert state.received(message_type) is Received.IGNORED
            assert state.phase is phase
        else:
            with pytest.raises(ProtocolViolation):
                state.received(message_type)
            assert state.phase is phase


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_we_send_only_what_is_in_the_table(phase: Phase) -> None:
    for message_type in range(256):
        state = BackendState(phase)
        detail = ord("I") if message_type == ord("Z") else AuthCode.SASL if message_type == ord("R") else 0
        if message_type in SENT[phase] or (message_type in b"NSA" and phase is not Phase.CLOSED):
            state.sent(message_type, detail)
        else:
            with pytest.raises(ProtocolViolation, match="must not be sent"):
                state.sent(message_type, detail)


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.CLOSED}), ids=lambda phase: phase.name)
def test_a_fatal_error_may_be_sent_at_any_time(phase: Phase) -> None:
    state = BackendState(phase)
    state.send(error_response("FATAL", "57P01", "bye"))
    assert state.is_closed


class Server:
    """Does what PostgreSQL may do; ``choose`` decides which."""

    def __init__(self, choose: Callable[[list[str]], str]) -> None:
        self.state = BackendState(Phase.READY)
        self.choose = choose
        self.inbox: deque[tuple[int, int]] = deque()
        self.outbox: deque[tuple[int, int]] = deque()

    def say(self, letters: str) -> None:
        for letter in letters:
            item = ord(letter), ord("I") if letter == "Z" else 0
            self.state.sent(*item)
            self.outbox.append(item)
        if self.state.phase is Phase.SYNCING and letters[-1:] == "E":
            self.say("Z")

    def work(self) -> None:
        """Read one message and answer it."""
        message_type, detail = self.inbox.popleft()
        was = self.state.phase
        try:
            if self.state.received(message_type) is Received.IGNORED:
                return
        except ProtocolViolation:
            self.say("E")
            return
        letter = chr(message_type)
        if was in (Phase.QUERY_COPY_IN, Phase.EXTENDED_COPY_IN):
            self.copy(letter, was)
        else:
            # A Sync fails only where there is something to commit.
            self.answer({"D": "s" if detail else "D", "S": "S" if was is Phase.EXTENDED else "Y"}.get(letter, letter))

    def copy(self, letter: str, was: Phase) -> None:
        ready = "Z" if was is Phase.QUERY_COPY_IN else ""
        replies = {"d": ["", "", "E"], "c": ["C" + ready, "E"], "f": ["E"]}[letter]
        self.say(self.choose(replies))

    def answer(self, letter: str) -> None:
        replies = {
            "Q": ["CZ", "TDDCZ", "IZ", "E", "CE", "TDE", "G", "HddcCZ", "HdE", "CCZ", "NTSDCZ"],
            "P": ["1", "E"],
            "B": ["2", "2N", "E"],
            "D": ["T", "n", "E"],
            "s": ["tT", "tn", "E", "tE"],
            "E": ["C", "DDC", "Ds", "I", "E", "DE", "G", "HdcC", "HE"],
            "C": ["3"],
            "H": [""],
            "S": ["Z", "Z", "E"],
            "Y": ["Z"],
            "F": ["VZ", "E"],
        }[letter]
        self.say(self.choose(replies))


REQUESTS = [*((ord(letter), 0) for letter in "QPBDECHSSSFddcf"), (ord("D"), ord("S"))]


@given(data=st.data())
def test_whatever_is_pipelined_and_whatever_fails_the_client_knows_what_is_due(data: st.DataObject) -> None:
    """A client sends anything legal without waiting; at the end both agree that nothing is due."""
    server = Server(lambda replies: data.draw(st.sampled_from(replies)))
    client = FrontendState(is_ready=True)
    for action in data.draw(
        st.lists(st.sampled_from([*REQUESTS, "work", "work", "read", "read", "read"]), max_size=40)
    ):
        step(client, server, action)
    finish(client, server)
    assert client.is_lost or (client.pending, client.outstanding_syncs) == (0, 0)
    assert client.is_idle or client.is_lost or client.uncertain_syncs
    assert server.state.phase is Phase.READY or client.is_lost


def step(client: FrontendState, server: Server, action: object) -> None:
    if action == "work":
        if server.inbox:
            server.work()
    elif action == "read":
        if server.outbox and not client.is_lost:
            client.received(*server.outbox.popleft())
    elif isinstance(action, tuple) and not client.is_lost:
        try:
            is_sent = client.sent(*action) is Sent.FORWARD
        except ProtocolViolation:
            assert client.is_copying_in
        else:
            if is_sent:
                server.inbox.append(action)


def finish(client: FrontendState, server: Server) -> None:
    """End a COPY that goes on, end the batch, and hear what is left."""
    drain(client, server)
    if client.is_copying_in:
        step(client, server, (int(FrontendType.CopyFail), 0))
        drain(client, server)
    step(client, server, (int(FrontendType.Sync), 0))
    drain(client, server)


def drain(client: FrontendState, server: Server) -> None:
    while server.inbox:
        server.work()
    while server.outbox and not client.is_lost:
        client.received(*server.outbox.popleft())


def test_server_of_the_model_says_nothing_that_is_not_in_the_manual() -> None:
    assert {chr(code) for code in BackendType} >= set("CZTDIEGHNS12nt3V")
