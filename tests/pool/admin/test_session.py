"""Both protocols for queries, message by message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.pool.admin.admin import describe
from longshore.pool.admin.commands import AdminError, Command, Constant, Show
from longshore.pool.admin.session import AdminSession, Result
from longshore.pool.admin.shows import SHOWS
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.framing import Frame, backend_reader, frontend_reader
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = [(f"user {number}", None) for number in range(3)]


async def _execute(command: Command) -> Result:
    match command:
        case Show("USERS"):
            return Result("SHOW", ROWS)
        case Constant(value=value, tag=tag):
            return Result(tag, [(value,)])
        case _:
            raise AdminError("42501", "no", "ask somebody else")


async def _said(session: AdminSession, *messages: m.FrontendMessage | bytes) -> list[m.BackendMessage]:
    data = b"".join(each if isinstance(each, bytes) else serialize(each) for each in messages)
    for event in frontend_reader().receive_data(data):
        assert isinstance(event, Frame)
        await session.handle(event)
    out = backend_reader().receive_data(b"".join(session.to_client))
    session.to_client.clear()
    return [parse_backend(each.type, each.payload) for each in out if isinstance(each, Frame)]


def _letters(messages: Sequence[m.BackendMessage]) -> str:
    return "".join(chr(each.type) for each in messages)


def _session() -> AdminSession:
    return AdminSession(_execute, describe, SHOWS)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        (b"SHOW USERS", "TDDDCZ"),
        (b"", "IZ"),
        (b"SHOW USERS; SELECT 1; BEGIN", "TDDDCTDCCZ"),
        (b"SHOW USERS; RELOAD; SELECT 1", "TDDDCEZ"),
        (b"SHOW USERS; nonsense", "EZ"),
        (b"\xff", "EZ"),
    ],
)
async def test_the_simple_protocol(text: bytes, letters: str) -> None:
    assert _letters(await _said(_session(), m.Query(text))) == letters


async def test_the_extended_protocol_with_every_message() -> None:
    session = _session()
    said = await _said(
        session,
        m.Parse(b"s", b"SHOW USERS"),
        m.Describe(b"S", b"s"),
        m.Bind(b"p", b"s"),
        m.Describe(b"P", b"p"),
        m.Execute(b"p", 2),
        m.Execute(b"p", 2),
        m.Close(b"P", b"p"),
        m.Flush(),
        m.Close(b"S", b"s"),
        m.Sync(),
    )
    assert _letters(said) == "1tT2TDDsDC33Z"
    again = await _said(session, m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert _letters(again) == "EZ"


async def test_a_portal_lasts_as_long_as_its_transaction() -> None:
    session = _session()
    await _said(session, m.Parse(b"s", b"SHOW USERS"), m.Bind(b"p", b"s"), m.Sync())
    assert _letters(await _said(session, m.Execute(b"p"), m.Sync())) == "EZ"
    await _said(session, m.Query(b"BEGIN"), m.Bind(b"p", b"s"), m.Sync())
    assert _letters(await _said(session, m.Execute(b"p"), m.Sync())) == "DDDCZ"


@pytest.mark.parametrize(
    ("message", "sqlstate"),
    [
        (m.Parse(b"", b"SELECT 1; SELECT 2"), "42601"),
        (m.Parse(b"there", b"SELECT 1"), "42P05"),
        (m.Bind(b"", b"not there"), "26000"),
        (m.Bind(b"", b"there", (), (b"1",)), "08P01"),
        (m.Bind(b"", b"there", (), (), (2,)), "22023"),
        (m.Bind(b"", b"there", (), (), (0, 1, 0)), "08P01"),
        (m.Describe(b"P", b"not there"), "34000"),
        (m.Execute(b"not there"), "34000"),
    ],
)
async def test_what_is_wrong_is_said_and_the_rest_is_skipped(message: m.FrontendMessage, sqlstate: str) -> None:
    session = _session()
    await _said(session, m.Parse(b"there", b"SHOW USERS"), m.Sync())
    said = await _said(session, message, m.Execute(b""), m.Sync(), m.Query(b"SELECT 1"))
    assert _letters(said) == "EZTDCZ"
    assert isinstance(said[0], m.ErrorResponse)
    assert said[0].sqlstate == sqlstate


async def test_a_function_call_is_refused_and_answered_at_once() -> None:
    assert _letters(await _said(_session(), m.FunctionCall(1))) == "EZ"


async def test_values_are_encoded_as_they_are_asked_for() -> None:
    said = await _said(
        _session(), m.Parse(b"", b"SELECT 7"), m.Bind(b"", b"", (), (), (1,)), m.Describe(b"P", b""), m.Execute(b"")
    )
    description, row = said[2], said[3]
    assert isinstance(description, m.RowDescription)
    assert (description.fields[0].type_oid, description.fields[0].format) == (23, 1)
    assert isinstance(row, m.DataRow)
    assert row.values == (b"\0\0\0\x07",)


async def test_the_memory_is_bounded() -> None:
    session = _session()
    said = await _said(session, *(m.Parse(b"%d" % number, b"SELECT 1") for number in range(200)))
    assert _letters(said).count("1") < 110
    assert said[-1] == next(each for each in said if isinstance(each, m.ErrorResponse))


_MESSAGE = st.sampled_from(
    [
        m.Query(b"SHOW USERS"),
        m.Query(b"x"),
        m.Parse(b"s", b"SHOW USERS"),
        m.Parse(b"", b""),
        m.Bind(b"p", b"s"),
        m.Bind(b"", b""),
        m.Describe(b"S", b"s"),
        m.Describe(b"P", b"p"),
        m.Execute(b"p", 1),
        m.Execute(b""),
        m.Close(b"S", b"s"),
        m.Close(b"P", b"p"),
        m.Sync(),
        m.Flush(),
        b"B\0\0\0\x05x",
        b"D\0\0\0\x06Xs",
    ]
)


@given(st.lists(_MESSAGE))
async def test_every_query_and_sync_has_one_ready(messages: list[m.FrontendMessage | bytes]) -> None:
    said = await _said(_session(), *messages, m.Sync())
    asked = sum(isinstance(each, (m.Query, m.Sync)) for each in messages) + 1
    assert _letters(said).count("Z") == asked
    assert said[-1] == m.ReadyForQuery(ord("I"))
