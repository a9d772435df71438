"""Between client and server: who gets which reply."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres.frontend import Outcome, Sent
from longshore.proto.postgres.relay import RelayState, Verdict
from longshore.proto.postgres.violation import ProtocolViolation
from tests.proto.postgres.test_backend import Server


def server(state: RelayState, types: str) -> str:
    """Let the server say that; return what the client gets: forwarded types, and local replies in their turn."""
    out = ""
    for letter in types:
        verdict = state.server_sent(ord(letter), ord("I") if letter == "Z" else 0)
        if verdict in (Verdict.FORWARD, Verdict.ASYNCHRONOUS):
            out += letter
        out += b"".join(state.take_local()).decode()
    return out


def client(state: RelayState, types: str) -> None:
    for letter in types:
        state.client_sent(ord(letter))


def test_everything_of_the_client_is_forwarded() -> None:
    state = RelayState()
    client(state, "PBESQ")
    assert server(state, "12NDCZTDCZ") == "12NDCZTDCZ"
    assert state.is_idle


def test_an_injected_parse_is_swallowed() -> None:
    state = RelayState()
    assert state.pool_sent(ord("P"), tag="s1") is Sent.FORWARD
    assert state.is_answering_pool
    client(state, "BES")
    assert server(state, "12DCZ") == "2DCZ"
    assert state.take_finished() == [("s1", Outcome.DONE)]
    assert state.take_finished() == []


def test_an_injected_query_is_swallowed_whole() -> None:
    state = RelayState()
    state.pool_sent(ord("Q"), tag="reset")
    client(state, "Q")
    assert server(state, "CCSNZCZ") == "SNCZ"
    assert state.take_finished() == [("reset", Outcome.DONE)]


def test_local_replies_come_in_their_turn() -> None:
    state = RelayState()
    state.answer(b"3")
    assert list(state.take_local()) == [b"3"]
    client(state, "P")
    state.answer(b"3", tag="close")
    state.answer(b"1")
    client(state, "BES")
    assert state.take_local() == []
    assert server(state, "1") == "131"
    assert state.take_finished() == [("close", Outcome.DONE)]
    assert server(state, "2CZ") == "2CZ"


def test_local_replies_behind_an_error_never_come() -> None:
    state = RelayState()
    client(state, "P")
    state.answer(b"3", tag="close")
    state.pool_sent(ord("P"), tag="parse")
    client(state, "BS")
    assert server(state, "EZ") == "EZ"
    assert state.take_finished() == [("close", Outcome.SKIPPED), ("parse", Outcome.SKIPPED)]
    assert state.is_idle


def test_nothing_is_put_in_while_the_server_skips() -> None:
    state = RelayState()
    client(state, "P")
    assert server(state, "E") == "E"
    assert state.pool_sent(ord("P")) is Sent.DROP
    assert state.answer(b"3") is Sent.DROP
    client(state, "S")
    assert state.answer(b"3") is Sent.FORWARD
    assert server(state, "Z") == "Z3"


def test_a_sync_answered_locally_ends_the_skipping() -> None:
    state = RelayState()
    assert state.fail(b"E") is Sent.FORWARD
    assert state.is_skipping
    assert state.client_sent(ord("B")) is Sent.DROP
    assert state.answer(b"Z", is_sync=True) is Sent.FORWARD
    assert b"".join(state.take_local()) == b"EZ"
    assert state.is_idle


def test_a_refusal_of_ours_skips_the_rest_of_its_batch_only() -> None:
    state = RelayState()
    client(state, "PS")
    client(state, "P")
    state.fail(b"e")
    assert state.client_sent(ord("B")) is Sent.DROP
    assert server(state, "EZ") == "EZ"
    assert state.is_skipping
    assert state.client_sent(ord("E")) is Sent.DROP
    client(state, "S")
    assert server(state, "1Z") == "1eZ"
    assert state.is_idle


def test_an_error_in_what_the_pool_put_in_is_for_the_pool_to_judge() -> None:
    state = RelayState()
    state.pool_sent(ord("P"), tag="parse")
    client(state, "BS")
    assert state.server_sent(ord("E")) is Verdict.POOL_ERROR
    assert state.take_finished() == [("parse", Outcome.FAILED)]
    assert state.server_sent(ord("Z"), ord("I")) is Verdict.FORWARD


def test_a_sync_of_the_pool_is_swallowed() -> None:
    state = RelayState()
    client(state, "PH")
    state.pool_sent(ord("S"))
    assert server(state, "1Z") == "1"
    assert state.is_idle


def test_news_on_an_idle_connection() -> None:
    state = RelayState()
    assert [state.server_sent(ord(letter)) for letter in "NSA"] == [Verdict.ASYNCHRONOUS] * 3
    assert state.server_sent(ord("E"), 1) is Verdict.ASYNCHRONOUS
    assert state.is_closed


def test_an_uncertain_ready_goes_to_the_client() -> None:
    state = RelayState()
    client(state, "ES")
    server(state, "GE")
    client(state, "S")
    assert server(state, "ZZ") == "ZZ"


def test_local_reply_between_request_and_copy_data() -> None:
    state = RelayState()
    client(state, "E")
    state.answer(b"3")
    assert server(state, "G") == "G"
    assert state.is_copying_in
    client(state, "dcS")
    assert server(state, "CZ") == "C3Z"


def test_relay_before_the_login() -> None:
    state = RelayState(is_ready=False)
    with pytest.raises(ProtocolViolation):
        state.client_sent(ord("Q"))
    assert state.client_sent(ord("p")) is Sent.FORWARD


def test_late_copy_data_behind_a_failed_copy() -> None:
    state = RelayState()
    client(state, "Q")
    server(state, "GE")
    client(state, "dcQ")
    assert server(state, "ZCZ") == "ZCZ"
    assert state.is_idle


class ScriptedServer(Server):
    """Answers each message of the client as the script says; what the pool puts in succeeds."""

    def __init__(self, script: list[int]) -> None:
        super().__init__(self.scripted)
        self.script = script
        self.indices: deque[int | None] = deque()
        self.index: int | None = None

    def scripted(self, replies: list[str]) -> str:
        # No COPY; and no notice behind a reply, for a local one may come between the two.
        possible = [reply for reply in replies if "G" not in reply and reply != "2N"]
        return possible[0 if self.index is None else self.script[self.index] % len(possible)]

    def answer(self, letter: str) -> None:
        # What the pool puts in may give a Sync something to commit; here it always succeeds.
        super().answer("Y" if letter == "S" else letter)

    def take(self, letter: str, index: int | None) -> None:
        self.inbox.append((ord(letter), 0))
        self.indices.append(index)

    def work(self) -> None:
        self.index = self.indices.popleft()
        super().work()

    def work_off(self) -> str:
        while self.inbox:
            self.work()
        said = "".join(chr(message_type) for message_type, _ in self.outbox)
        self.outbox.clear()
        return said


@given(letters=st.text("QPBDECHSSF", max_size=25), data=st.data())
def test_a_client_cannot_tell_the_relay_from_the_server(letters: str, data: st.DataObject) -> None:
    """Close is answered by the relay, and a Parse is put in before some messages: the client hears the same."""
    letters += "S"
    script = data.draw(st.lists(st.integers(0, 5), min_size=len(letters), max_size=len(letters)))
    direct, behind, state = ScriptedServer(script), ScriptedServer(script), RelayState()
    heard = ""
    for index, letter in enumerate(letters):
        direct.take(letter, index)
        if data.draw(st.booleans()) and state.pool_sent(ord("P")) is Sent.FORWARD:
            behind.take("P", None)
        if letter == "C":
            state.answer(b"3")
        elif state.client_sent(ord(letter)) is Sent.FORWARD:
            behind.take(letter, index)
        heard += b"".join(state.take_local()).decode()
        if data.draw(st.booleans()):
            heard += server(state, behind.work_off())
    heard += server(state, behind.work_off())
    assert heard == direct.work_off()
    assert state.is_idle
