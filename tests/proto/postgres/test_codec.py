"""Payloads ↔ messages: by table, by property, and with nonsense."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import ArgumentValueError
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.codec import parse_backend, parse_frontend, serialize, serialize_startup
from longshore.proto.postgres.constants import AuthReply, BackendType, FrontendType
from longshore.proto.postgres.startup_framing import parse_startup
from longshore.proto.postgres.violation import ProtocolViolation
from tests.proto.postgres.cases import BACKEND_CASES, FRONTEND_CASES, STARTUP_CASES, Case
from tests.proto.postgres.strategies import backend_messages, frontend_messages

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = [*(("frontend", case) for case in FRONTEND_CASES), *(("backend", case) for case in BACKEND_CASES)]
cases = pytest.mark.parametrize(("side", "case"), BOTH, ids=[f"{side} {case.name}" for side, case in BOTH])


def parse(side: str, case: Case, payload: bytes) -> m.FrontendMessage | m.BackendMessage:
    if side == "frontend":
        return parse_frontend(case.wire[0], payload, auth_reply=case.auth_reply)
    return parse_backend(case.wire[0], payload)


@cases
def test_table_parses(side: str, case: Case) -> None:
    assert parse(side, case, case.payload) == case.message


@cases
def test_table_serializes(side: str, case: Case) -> None:
    assert serialize(case.message) == case.wire
    assert case.wire[0] == case.message.type


@cases
def test_every_truncation_is_a_violation(side: str, case: Case) -> None:
    for size in range(len(case.payload)):
        if case.is_open:
            with contextlib.suppress(ProtocolViolation):
                parse(side, case, case.payload[:size])
        else:
            with pytest.raises(ProtocolViolation) as caught:
                parse(side, case, case.payload[:size])
            assert caught.value.message_type == case.wire[0]
            assert 0 <= caught.value.position <= size
            assert not caught.value.is_fatal


@cases
def test_trailing_data_is_a_violation(side: str, case: Case) -> None:
    # The key of 3.0 is a shorter one of 3.2.
    if case.is_open or case.name.startswith("key data"):
        assert parse(side, case, case.payload + b"\0") != case.message
        return
    with pytest.raises(ProtocolViolation, match="too many"):
        parse(side, case, case.payload + b"\0")


def test_table_holds_every_message() -> None:
    have = {type(case.message) for _, case in BOTH}
    wanted = {*get_args(m.FrontendMessage), *get_args(m.BackendMessage)}
    assert wanted <= have


@pytest.mark.parametrize(("name", "packet", "wire"), STARTUP_CASES, ids=[case[0] for case in STARTUP_CASES])
def test_startup_packets(name: str, packet: m.StartupPacket, wire: bytes) -> None:
    assert serialize_startup(packet) == wire
    assert parse_startup(wire[4:]) == packet
    for size in range(4, len(wire) if "cancel 3.2" not in name else 16):
        with pytest.raises(ProtocolViolation) as caught:
            parse_startup(wire[4:size])
        assert caught.value.is_fatal
    if name != "cancel 3.0":
        with pytest.raises(ProtocolViolation):
            parse_startup(wire[4:] + b"x")


@given(message=frontend_messages)
def test_frontend_round_trip(message: m.FrontendMessage | m.BackendMessage) -> None:
    wire = serialize(message)
    assert parse_frontend(wire[0], wire[5:]) == message
    assert int.from_bytes(wire[1:5], "big") == len(wire) - 1


@given(message=backend_messages)
def test_backend_round_trip(message: m.FrontendMessage | m.BackendMessage) -> None:
    wire = serialize(message)
    assert parse_backend(wire[0], wire[5:]) == message


@given(message_type=st.integers(0, 255), payload=st.binary(max_size=60), auth_reply=st.sampled_from(AuthReply))
def test_nonsense_of_a_client_is_a_violation_or_a_message(
    message_type: int, payload: bytes, auth_reply: AuthReply
) -> None:
    with contextlib.suppress(ProtocolViolation):
        message = parse_frontend(message_type, payload, auth_reply=auth_reply)
        assert serialize(message)[5:] == payload


@given(message_type=st.sampled_from(BackendType), payload=st.binary(max_size=60))
def test_nonsense_of_a_server_is_a_violation_or_a_message(message_type: int, payload: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        message = parse_backend(message_type, payload)
        assert serialize(message)[5:] == payload


@given(message=frontend_messages | backend_messages, place=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_a_violation_or_another_message(
    message: m.FrontendMessage | m.BackendMessage, place: int, bit: int
) -> None:
    wire = bytearray(serialize(message))
    wire[place % len(wire)] ^= 1 << bit
    for parser in (parse_frontend, parse_backend):
        with contextlib.suppress(ProtocolViolation):
            parser(wire[0], bytes(wire[5:]))


@given(payload=st.binary(max_size=80))
def test_nonsense_at_start_is_a_violation_or_a_packet(payload: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        packet = parse_startup(payload)
        is_ours = not isinstance(packet, m.StartupMessage) or packet.version >> 16 == 3
        assert not is_ours or serialize_startup(packet)[4:] == payload


@pytest.mark.parametrize(
    ("parser", "wire", "reason"),
    [
        (parse_frontend, b"D\0\0\0\x06X\0", "subtype"),
        (parse_frontend, b"C\0\0\0\x06s\0", "subtype"),
        (parse_frontend, b"B\0\0\0\x10\0\0\0\x02\0\0\0\0\0\0\0\0", "2 formats for 0 parameters"),
        (parse_frontend, b"B\0\0\0\x10\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", "negative length"),
        (parse_frontend, b"B\0\0\0\x10\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0", "bytes announced"),
        (parse_frontend, b"Q\0\0\0\x07a\0b", "too many"),
        (parse_frontend, b"Q\0\0\0\x05a", "terminator"),
        (parse_frontend, b"y\0\0\0\x04", "invalid frontend"),
        (parse_backend, b"y\0\0\0\x04", "invalid backend"),
        (parse_backend, b"Z\0\0\0\x05X", "transaction status"),
        (parse_backend, b"R\0\0\0\x08\0\0\0\x06", "authentication request 6"),
        (parse_backend, b"K\0\0\0\x0b\0\0\0\x01abc", "cancel key of 3"),
        (parse_backend, b"K\0\0\x01\x09\0\0\0\x01" + b"k" * 257, "cancel key of 257"),
        (parse_backend, b"G\0\0\0\x07\x02\0\0", "format code 2"),
        (parse_backend, b"v\0\0\0\x0c\0\x03\0\0\x7f\xff\xff\xff", "options announced"),
        (parse_backend, b"v\0\0\0\x0c\0\x03\0\0\xff\xff\xff\xff", "options announced"),
    ],
)
def test_violation_says_what_is_wrong(parser: Callable[[int, bytes], object], wire: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason) as caught:
        parser(wire[0], wire[5:])
    assert caught.value.sqlstate == "08P01"
    assert repr(chr(wire[0])) in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        m.Query(b"a\0b"),
        m.Execute(b"", 2**31),
        m.Parse(b"", b"", (2**32,)),
        m.Bind(b"", b"", (), (b"x",) * 65536),
        m.Describe(b"X", b""),
        m.ErrorResponse(((b"", b"x"),)),
        m.ErrorResponse(((b"\0", b"x"),)),
        m.AuthenticationSASL((b"",)),
    ],
)
def test_what_does_not_fit_the_wire_is_refused(message: m.FrontendMessage | m.BackendMessage) -> None:
    with pytest.raises(ArgumentValueError):
        serialize(message)


@pytest.mark.parametrize("packet", [m.StartupMessage(((b"", b"x"),)), m.CancelRequest(2**31, b"abcd")])
def test_startup_packet_that_does_not_fit_is_refused(packet: m.StartupPacket) -> None:
    with pytest.raises(ArgumentValueError):
        serialize_startup(packet)


def test_secrets_do_not_show() -> None:
    for message in (m.PasswordMessage(b"hush"), m.SASLResponse(b"hush"), m.BackendKeyData(1, b"hush")):
        assert "hush" not in repr(message)
    assert "hush" not in repr(m.CancelRequest(1, b"hush"))


def test_types_are_those_of_the_manual() -> None:
    assert {chr(code) for code in FrontendType} == set("BCdcfDEHFPpQSX")
    assert {chr(code) for code in BackendType} == set("RK23CWdcGHDIEVvnNAtS1sZT")
