"""The wire of real servers, kept as it was heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres.codec import parse_backend, parse_frontend, serialize
from longshore.proto.postgres.constants import AuthReply
from longshore.proto.postgres.framing import BULK_TYPES, Frame, Run, backend_reader, frontend_reader
from longshore.proto.postgres.frontend import FrontendState, Sent
from longshore.proto.postgres.relay import RelayState, Verdict

if TYPE_CHECKING:
    from longshore.proto.postgres import messages as m

CAPTURED = sorted((Path(__file__).parent / "captured").glob("*.txt"))
files = pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)


def lines_of(path: Path) -> list[tuple[str, bytes]]:
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    return [(side, bytes.fromhex(wire)) for side, wire, *_ in lines]


def parse(side: str, wire: bytes, auth_replies: list[AuthReply]) -> m.FrontendMessage | m.BackendMessage:
    if side == "<":
        return parse_backend(wire[0], wire[5:])
    reply = auth_replies.pop(0) if wire[:1] == b"p" else AuthReply.PasswordMessage
    return parse_frontend(wire[0], wire[5:], auth_reply=reply)


@files
def test_every_message_survives_the_round_trip_and_is_legal(path: Path) -> None:
    state = FrontendState()
    auth_replies = [AuthReply.SASLInitialResponse, AuthReply.SASLResponse]
    for side, wire in lines_of(path):
        message = parse(side, wire, auth_replies)
        assert serialize(message) == wire
        if side == "<":
            state.received(wire[0], detail_of(wire))
        else:
            assert state.sent(wire[0], wire[5] if wire[:1] == b"D" else 0) is Sent.FORWARD
    assert (state.pending, state.outstanding_syncs, state.uncertain_syncs) == (0, 0, 0)
    assert state.is_closed


def detail_of(wire: bytes) -> int:
    """Return what a relay that does not parse looks at."""
    if wire[:1] == b"Z":
        return wire[5]
    return int.from_bytes(wire[5:9], "big") if wire[:1] == b"R" else 0


@files
def test_a_relay_forwards_every_byte(path: Path) -> None:
    heard = b"".join(wire for side, wire in lines_of(path) if side == "<")
    said = b"".join(wire for side, wire in lines_of(path) if side == ">")
    assert b"".join(event.raw for event in frontend_reader().receive_data(said)) == said
    for size in (1, 7, 100, len(heard)):
        reader = backend_reader(merged=BULK_TYPES)
        events = [event for i in range(0, len(heard), size) for event in reader.receive_data(heard[i : i + size])]
        assert b"".join(event.raw for event in events) == heard
        assert all(isinstance(event, (Frame, Run)) for event in events)
        assert reader.is_between_messages


@files
def test_a_relay_state_agrees(path: Path) -> None:
    state = RelayState(is_ready=False)
    verdicts = set()
    for side, wire in lines_of(path):
        if side == ">":
            state.client_sent(wire[0], wire[5] if wire[:1] == b"D" else 0)
        else:
            verdicts.add(state.server_sent(wire[0], detail_of(wire)))
    assert verdicts == {Verdict.FORWARD, Verdict.ASYNCHRONOUS}
