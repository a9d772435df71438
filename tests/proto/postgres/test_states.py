"""The tables themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.proto.postgres.constants import ASYNCHRONOUS_TYPES, BackendType, FrontendType
from longshore.proto.postgres.frontend import Entry, FrontendState
from longshore.proto.postgres.states import (
    AUTHENTICATION_OK,
    COPYING_IN,
    IGNORED,
    RECEIVED,
    REPLIES,
    REQUESTS,
    SENT,
    SYNC_POINTS,
    Expect,
    Phase,
)
from longshore.proto.postgres.violation import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENDS = {Expect.DONE, Expect.SKIP, Expect.CLOSED}
STATES = [expect for expect in Expect if expect not in ENDS]
SERVER_TYPES = {*map(int, BackendType), AUTHENTICATION_OK}


def reachable(starts: Iterable[Any], table: Mapping[Any, Mapping[int, Any]]) -> set[Any]:
    found: set[Any] = set()
    todo = list(starts)
    while todo:
        if (state := todo.pop()) not in found:
            found.add(state)
            todo += table.get(state, {}).values()
    return found


def test_every_expectation_has_its_replies() -> None:
    assert set(REPLIES) == set(STATES)
    for replies in REPLIES.values():
        assert set(replies) <= SERVER_TYPES - ASYNCHRONOUS_TYPES
        assert set(replies.values()) <= set(Expect)


def test_every_expectation_is_reachable_and_ends() -> None:
    markers = {Expect.COPY_END, Expect.LOCAL, Expect.LOCAL_SYNC}
    starts = [Expect.STARTUP, Expect.DESCRIBE_STATEMENT, *REQUESTS.values()]
    assert reachable(starts, REPLIES) == set(Expect) - markers
    for expect in set(STATES) - markers:
        assert reachable([expect], REPLIES) & ENDS
        assert BackendType.ErrorResponse in REPLIES[expect]
    assert set(STATES) >= SYNC_POINTS | COPYING_IN


def test_every_phase_is_in_every_table_and_reachable() -> None:
    assert set(RECEIVED) == set(SENT) == set(Phase)
    both = {phase: {**RECEIVED[phase], **{-key: value for key, value in SENT[phase].items()}} for phase in Phase}
    assert reachable([Phase.AUTHENTICATION], both) == set(Phase)
    for phase in Phase:
        assert set(RECEIVED[phase]) <= set(map(int, FrontendType))
        assert set(SENT[phase]) <= SERVER_TYPES - ASYNCHRONOUS_TYPES
        assert not set(RECEIVED[phase]) & IGNORED.get(phase, frozenset())


def test_every_request_has_an_expectation() -> None:
    unanswered = set("HXdcfp")
    assert {chr(code) for code in REQUESTS} == {chr(code) for code in FrontendType} - unanswered


@pytest.mark.parametrize("expect", STATES, ids=lambda expect: expect.name)
def test_server_messages_that_are_not_in_the_table_are_violations(expect: Expect) -> None:
    for message_type in range(256):
        state = FrontendState(is_ready=True)
        state._queue.append(Entry(expect))
        detail = ord("I") if message_type == ord("Z") else 1 if message_type == ord("R") else 0
        if message_type in REPLIES[expect] or message_type in ASYNCHRONOUS_TYPES:
            state.received(message_type, detail)
        else:
            with pytest.raises(ProtocolViolation) as caught:
                state.received(message_type, detail)
            assert caught.value.is_fatal
            assert state.expects == (expect,)


@pytest.mark.parametrize("message_type", range(256))
def test_idle_connection_hears_only_news(message_type: int) -> None:
    state = FrontendState(is_ready=True)
    if message_type in ASYNCHRONOUS_TYPES:
        assert state.received(message_type) is None
        assert state.is_idle
    elif message_type == ord("E"):
        state.received(message_type, 1)
        assert state.is_closed
    else:
        with pytest.raises(ProtocolViolation, match="IDLE"):
            state.received(message_type)
