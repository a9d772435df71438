"""What clients are told when the pool cannot serve them: each sentence, its SQLSTATE and what to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.pool.failures import (
    cannot_log_in,
    disabled,
    killed,
    no_such_database,
    rejection,
    server_lost,
    shutting_down,
)
from longshore.pool.gate import Gate
from longshore.pool.inspection.model import ClientInfo, ClientState
from longshore.pool.inspection.usage import Usage, usage_hint, usage_sentence
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.slots.model import RejectReason
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.errors import error_response
from tests.pool.admin.rig import admin_on, until_closed
from tests.pool.rig import session

if TYPE_CHECKING:
    from longshore.pool.model import Database
    from tests.server_process import Server


def _client(number: int, state: ClientState, held_s: float, **values: object) -> ClientInfo:
    fixed = {"pid": 1, "database": "app", "user": "u", "age_s": 100.0, "idle_in_transaction_s": 0.0}
    return ClientInfo(client_id=number, state=state, state_s=held_s, **(fixed | values))  # type: ignore[arg-type]


HOLDERS = (
    _client(17, ClientState.IDLE_IN_TRANSACTION, 42.0, application_name="billing", idle_in_transaction_s=40.4),
    _client(18, ClientState.IDLE_IN_TRANSACTION, 2.0),
    _client(9, ClientState.PINNED, 300.0, pins=(("advisory lock", "SELECT 1"),)),
    _client(10, ClientState.ACTIVE, 0.25),
)


def test_who_holds_what_for_how_long() -> None:
    usage = Usage(size=5, open=5, holders=HOLDERS, left=1, waiting=37)
    assert usage_sentence(usage) == (
        "5 of 5 server connections are in use: 2 in transactions that are idle (longest 42 s, client 17, application"
        ' "billing", idle in transaction for 40 s), 1 pinned by advisory lock (longest 300 s, client 9),'
        " 1 in a query (longest 0.2 s, client 10), 1 left by clients that have gone; 37 sessions wait"
    )
    assert "SHOW CLIENTS" in usage_hint(usage)
    assert "KILL CLIENT" in usage_hint(usage)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ClientState.PINNED, "SHOW PINS"),
        (ClientState.ACTIVE, "raise the pool's size"),
        (ClientState.IDLE_IN_TRANSACTION, "end transactions"),
    ],
)
def test_the_hint_is_about_what_takes_most(state: ClientState, words: str) -> None:
    assert words in usage_hint(Usage(size=1, open=1, holders=(_client(1, state, 1.0),)))


def test_a_pause_is_named_as_the_reason() -> None:
    usage = Usage(size=1, open=0, holders=(), waiting=1, is_paused=True)
    assert usage_sentence(usage).endswith("1 session waits; the pool is paused")
    assert "RESUME" in usage_hint(usage)


def test_a_time_out_says_who_has_the_connections() -> None:
    error = rejection(RejectReason.TIMED_OUT, 5.0, None, Usage(size=4, open=4, holders=HOLDERS, waiting=2))
    assert (error.sqlstate, error.message) == ("53300", "no server connection became free")
    assert "client 17" in (error.detail or "")
    assert (error.detail or "").endswith("this session waited 5.0 s")
    assert "end transactions" in (error.hint or "")


def test_when_no_more_can_be_opened_the_reason_is_told() -> None:
    said = LoginFailed("sorry, too many clients already", error_response("FATAL", "53300", "sorry, too many clients"))
    error = rejection(RejectReason.TOO_MANY, 0.0, said, Usage(size=4, open=1, holders=HOLDERS[:1]))
    assert error.sqlstate == "53300"
    assert "no more can be opened: sorry" in (error.detail or "")
    assert "max_connections" in (error.hint or "")


def test_when_none_is_open_the_failed_login_is_the_error() -> None:
    failed = LoginFailed("nobody answers at db:5432")
    error = rejection(RejectReason.TIMED_OUT, 5.0, failed, Usage(size=4, open=0, holders=()))
    assert (error.sqlstate, error.severity) == ("08001", "FATAL")
    assert "nobody answers at db:5432" in error.message
    assert "check that the database runs" in (error.hint or "")


@pytest.mark.parametrize(
    ("sqlstate", "words"),
    [
        ("28P01", "check user and password"),
        ("28000", "pg_hba.conf"),
        ("3D000", "check the name of the database"),
        ("53300", "max_connections"),
        ("57P03", "wait until the database has started"),
    ],
)
def test_what_the_database_says_goes_on_with_a_hint(sqlstate: str, words: str) -> None:
    error = cannot_log_in(LoginFailed("x", error_response("FATAL", sqlstate, "as the server words it")))
    assert (error.sqlstate, error.message) == (sqlstate, "as the server words it")
    assert words in (error.hint or "")


def test_a_hint_of_the_database_is_kept() -> None:
    said = error_response("FATAL", "28P01", "no", detail="its detail", hint="its hint")
    error = cannot_log_in(LoginFailed("x", said))
    assert (error.detail, error.hint) == ("its detail", "its hint")


@pytest.mark.parametrize(
    ("error", "sqlstate", "words"),
    [
        (cannot_log_in(None), "08001", "cannot log in"),
        (server_lost(None), "08006", "the database closed the connection"),
        (server_lost(error_response("FATAL", "57P01", "going down")), "57P01", "going down"),
        (no_such_database("x"), "3D000", 'database "x" does not exist'),
        (disabled("x"), "57P03", 'database "x" is disabled'),
        (killed(), "57P01", "administrator command"),
        (shutting_down(), "57P01", "shutting down"),
    ],
)
def test_every_other_sentence(error: m.ErrorResponse, sqlstate: str, words: str) -> None:
    assert (error.sqlstate, error.severity) == (sqlstate, "FATAL")
    assert words in error.message


def test_a_pause_of_all_spares_what_was_resumed_and_ends_with_a_resume_of_all() -> None:
    gate = Gate()
    gate.pause(None)
    gate.resume("one")
    assert (gate.is_paused("one"), gate.is_paused("two")) == (False, True)
    gate.pause("one")
    assert gate.is_paused("one")
    gate.resume(None)
    assert not gate.is_paused("one")
    assert not gate.is_paused("two")


@pytest.mark.needs("postgres")
async def test_whoever_waits_too_long_is_told_by_a_real_pool(postgres_server: Server) -> None:
    async with (
        admin_on(postgres_server.port, size=1) as rig,
        session(rig.port, database="app", application_name="billing") as one,
        session(rig.port, database="app") as two,
    ):
        await one.query("BEGIN")
        rig.pools.reload([_shorter(each) for each in rig.pools.databases.values()])
        two.send(m.Query(b"SELECT 1"))
        async with asyncio.timeout(20):
            frames = await until_closed(two)
    assert b"C53300" in frames[-1].raw
    assert b"1 of 1 server connections are in use: 1 in transactions that are idle" in frames[-1].raw
    assert b'application "billing"' in frames[-1].raw


def _shorter(database: Database) -> Database:
    return replace(database, rules=replace(database.rules, wait_timeout_s=0.1))
