"""We are the client: the queue of what is due."""

from __future__ import annotations

import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import TransactionStatus
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.frontend import FrontendState, Sent
from longshore.proto.postgres.states import Expect
from longshore.proto.postgres.violation import ProtocolViolation


def ready() -> FrontendState:
    return FrontendState(is_ready=True)


def sent(state: FrontendState, types: str) -> str:
    """Send the messages; return those that went out. ``s`` is a Describe of a statement."""
    out = ""
    for letter in types:
        detail = ord("S") if letter == "s" else 0
        if state.sent(ord("D" if letter == "s" else letter), detail) is Sent.FORWARD:
            out += letter
    return out


def received(state: FrontendState, types: str, status: str = "I") -> None:
    for letter in types:
        state.received(ord(letter), ord(status) if letter == "Z" else 0)


@pytest.mark.parametrize(
    ("requests", "replies"),
    [
        ("Q", "TDDCZ"),
        ("Q", "CTDCIZ"),
        ("Q", "IZ"),
        ("Q", "EZ"),
        ("Q", "TDEZ"),
        ("Q", "TNSADCZ"),
        ("Q", "HddcCZ"),
        ("Q", "HdEZ"),
        ("Q", "HdcEZ"),
        ("QQQ", "CZEZIZ"),
        ("PsBDES", "1tT2TDDCZ"),
        ("PsBDES", "1tn2nCZ"),
        ("PBES", "12sZ"),
        ("BES", "2IZ"),
        ("BES", "2HdcCZ"),
        ("CS", "3Z"),
        ("S", "Z"),
        ("S", "EZ"),
        ("F", "VZ"),
        ("F", "EZ"),
        ("PBES", "EZ"),
        ("PBES", "12DEZ"),
        ("PBESPBES", "1EZ12CZ"),
        ("PBESQPBES", "EZTDCZ12CZ"),
        ("PBQS", "EZ"),
        ("PHBHES", "12CZ"),
        ("PQ", "1CZ"),
    ],
)
def test_conversations(requests: str, replies: str) -> None:
    state = ready()
    assert sent(state, requests) == requests
    assert state.outstanding_syncs >= 1
    received(state, replies)
    assert state.is_idle
    assert state.outstanding_syncs == 0


@pytest.mark.parametrize(
    ("requests", "replies"),
    [
        ("Q", "TZ"),
        ("Q", "Z"),
        ("Q", "D"),
        ("Q", "1"),
        ("P", "2"),
        ("P", "C"),
        ("PS", "Z"),
        ("PS", "EC"),
        ("S", "C"),
        ("s", "T"),
        ("E", "T"),
        ("F", "C"),
        ("Q", "HC"),
        ("Q", "Hcd"),
        ("", "Z"),
        ("P", "EZ"),
        ("Q", "K"),
        ("Q", "R"),
    ],
)
def test_replies_that_cannot_be(requests: str, replies: str) -> None:
    state = ready()
    sent(state, requests)
    received(state, replies[:-1])
    with pytest.raises(ProtocolViolation) as caught:
        received(state, replies[-1])
    assert caught.value.is_fatal


def test_login() -> None:
    state = FrontendState()
    assert state.expects == (Expect.STARTUP,)
    state.receive(m.NegotiateProtocolVersion(196608))
    state.receive(m.AuthenticationSASL((b"SCRAM-SHA-256",)))
    assert state.send(m.SASLInitialResponse(b"SCRAM-SHA-256", b"")) is Sent.FORWARD
    state.receive(m.AuthenticationOk())
    assert state.expects == (Expect.PARAMETERS,)
    state.receive(m.ParameterStatus(b"a", b"b"))
    state.receive(m.BackendKeyData(1, b"1234"))
    assert state.pending == 1
    state.receive(m.ReadyForQuery(ord("I")))
    assert state.is_idle
    with pytest.raises(ProtocolViolation, match="login is over"):
        state.send(m.PasswordMessage(b""))


@pytest.mark.parametrize("before", ["", "R"])
def test_nothing_is_sent_before_the_session_has_begun(before: str) -> None:
    state = FrontendState()
    received(state, before)
    with pytest.raises(ProtocolViolation, match="not legal in state"):
        sent(state, "Q")
    with pytest.raises(ProtocolViolation):
        state.received(ord("Z"), ord("I")) if not before else state.received(ord("C"))


def test_an_error_in_the_login_ends_it() -> None:
    state = FrontendState()
    state.receive(error_response("FATAL", "28P01", "no"))
    assert state.is_closed
    with pytest.raises(ProtocolViolation, match="session is over"):
        sent(state, "Q")


def test_fatal_errors_and_terminate_end_the_session() -> None:
    for message in (error_response("FATAL", "57P01", "bye"), error_response("ERROR", "XX000", "?")):
        state = ready()
        state.receive(message)
        assert state.is_closed
        assert not state.is_idle
    state = ready()
    sent(state, "Q")
    state.receive(error_response("FATAL", "57P01", "bye"))
    assert state.is_closed
    state = ready()
    assert sent(state, "X") == "X"
    assert state.is_closed


def test_transaction_status() -> None:
    state = ready()
    sent(state, "Q")
    received(state, "CZ", "T")
    assert state.status == ord("T")
    sent(state, "Q")
    received(state, "EZ", "E")
    assert state.status == ord("E")


def test_empty_queue_is_not_idle_before_the_sync() -> None:
    state = ready()
    sent(state, "PH")
    received(state, "1")
    assert (state.pending, state.outstanding_syncs, state.is_idle) == (0, 0, False)
    sent(state, "S")
    received(state, "Z")
    assert state.is_idle


def test_what_the_server_would_skip_is_not_sent() -> None:
    state = ready()
    sent(state, "P")
    received(state, "E")
    assert (state.pending, state.is_skipping) == (0, True)
    assert sent(state, "BDEHCQFdcfS") == "S"
    assert (state.pending, state.is_skipping) == (1, False)
    received(state, "Z")
    assert state.is_idle


def test_a_query_behind_an_error_is_skipped_too() -> None:
    state = ready()
    sent(state, "PBQES")
    assert state.outstanding_syncs == 2
    received(state, "E")
    assert state.outstanding_syncs == 1
    received(state, "Z")
    assert state.is_idle


@pytest.mark.parametrize("end", ["c", "f"])
def test_copy_in_by_a_simple_query(end: str) -> None:
    state = ready()
    sent(state, "Q")
    received(state, "G")
    assert (state.outstanding_syncs, state.is_copying_in) == (1, True)
    assert sent(state, "ddHSd" + end) == "ddd" + end
    assert (state.outstanding_syncs, state.is_copying_in) == (1, False)
    received(state, "CZ" if end == "c" else "EZ")
    assert state.is_idle


def test_copy_in_fails_in_the_middle() -> None:
    state = ready()
    sent(state, "Q")
    received(state, "G")
    sent(state, "d")
    received(state, "EZ")
    assert state.is_idle
    assert sent(state, "ddc") == ""
    sent(state, "Q")
    received(state, "CZ")
    assert state.is_idle


def test_late_copy_data_does_not_hide_what_comes_behind() -> None:
    state = ready()
    sent(state, "Q")
    received(state, "GE")
    sent(state, "dcQ")
    received(state, "ZCZ")
    assert state.is_idle


def test_libpq_copy_in_the_extended_protocol() -> None:
    state = ready()
    sent(state, "PBES")  # libpq sends this Sync before it knows of the COPY
    received(state, "12G")
    assert state.outstanding_syncs == 0
    sent(state, "ddcS")
    received(state, "CZ")
    assert state.is_idle
    assert state.uncertain_syncs == 0


def test_copy_in_by_a_client_who_does_not_wait() -> None:
    state = ready()
    assert sent(state, "PBEHSddcSQ") == "PBEHSddcSQ"
    received(state, "12G")
    assert not state.is_copying_in
    received(state, "CZTDCZ")
    assert state.is_idle


@pytest.mark.parametrize("was_read", [True, False])
def test_sync_that_a_failed_copy_may_have_read(was_read: bool) -> None:
    state = ready()
    sent(state, "BES")
    received(state, "2GE")
    assert state.uncertain_syncs == 1
    assert state.is_skipping
    sent(state, "dcS")
    received(state, "Z" if was_read else "ZZ")
    assert state.uncertain_syncs == (1 if was_read else 0)
    assert state.is_idle != was_read
    sent(state, "Q")
    received(state, "CZ")
    assert state.is_idle


def test_an_uncertain_ready_may_come_before_the_next_query() -> None:
    state = ready()
    sent(state, "BES")
    received(state, "2GE")
    sent(state, "dcSQ")
    received(state, "ZZ")
    assert state.expects == (Expect.QUERY,)
    received(state, "CZ")
    assert state.is_idle


def test_other_messages_are_refused_during_copy_in() -> None:
    for letter in "QPBDECF":
        state = ready()
        sent(state, "Q")
        received(state, "G")
        with pytest.raises(ProtocolViolation, match="during COPY") as caught:
            sent(state, letter)
        assert not caught.value.is_fatal
        assert state.is_copying_in


def test_a_request_in_the_place_of_copy_data_makes_the_connection_useless() -> None:
    state = ready()
    sent(state, "QQ")
    received(state, "G")
    assert state.is_lost
    assert not state.is_idle
    state = ready()
    sent(state, "EPS")
    received(state, "GE")
    assert not state.is_lost
    received(state, "Z")
    assert state.is_idle


def test_copy_messages_out_of_place_are_dropped() -> None:
    state = ready()
    assert sent(state, "dcf") == ""
    assert state.is_idle


def test_copy_both() -> None:
    state = ready()
    sent(state, "Q")
    received(state, "Wdd")
    assert sent(state, "dd") == "dd"
    with pytest.raises(ProtocolViolation, match="QUERY_COPY_BOTH"):
        sent(state, "Q")
    received(state, "c")
    sent(state, "c")
    received(state, "TDCCZ")
    assert state.is_idle


def test_parsed_messages_do_the_same() -> None:
    state = ready()
    for message in (m.Parse(b"", b""), m.Describe(b"S", b""), m.Bind(b"", b""), m.Describe(b"P", b""), m.Sync()):
        state.send(message)
    assert [expect.name for expect in state.expects] == [
        "PARSE",
        "DESCRIBE_STATEMENT",
        "BIND",
        "DESCRIBE_ROWS",
        "SYNC",
    ]
    state.receive(m.ParseComplete())
    state.receive(error_response("ERROR", "42601", "no"))
    assert [expect.name for expect in state.expects] == ["SYNC"]
    state.receive(m.ReadyForQuery(ord("E")))
    assert state.status is TransactionStatus.FAILED


def test_a_status_that_does_not_exist_is_a_violation() -> None:
    state = ready()
    sent(state, "S")
    with pytest.raises(ProtocolViolation, match="transaction status 0x00"):
        state.received(ord("Z"), 0)
    assert state.outstanding_syncs == 1


def test_a_type_that_does_not_exist_is_a_violation() -> None:
    for types in ("", "Q"):
        state = ready()
        sent(state, types)
        with pytest.raises(ProtocolViolation, match="invalid frontend message type"):
            state.sent(ord("y"))
