"""The commands of the admin database, from their text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.pool.admin.commands import (
    AdminError,
    ClearCache,
    Command,
    Constant,
    Control,
    Harmless,
    KillClient,
    Reload,
    Set,
    Show,
    Shutdown,
    ShutdownMode,
    Transaction,
    Verb,
)
from longshore.pool.admin.parser import parse
from longshore.pool.admin.shows import SHOWS

CASES: dict[str, list[Command]] = {
    "": [],
    " ; ;-- nothing\n/* at all */": [],
    "SHOW POOLS": [Show("POOLS")],
    "show pools;Show Stats ;": [Show("POOLS"), Show("STATS")],
    "PAUSE": [Control(Verb.PAUSE, None)],
    "pause app": [Control(Verb.PAUSE, "app")],
    'RESUME "my-""app"""': [Control(Verb.RESUME, 'my-"app"')],
    'pause "Pools"': [Control(Verb.PAUSE, "Pools")],
    "RECONNECT app;DISABLE app;ENABLE app": [
        Control(Verb.RECONNECT, "app"),
        Control(Verb.DISABLE, "app"),
        Control(Verb.ENABLE, "app"),
    ],
    "KILL app": [Control(Verb.KILL, "app")],
    "KILL": [Control(Verb.KILL, None)],
    "KILL CLIENT 12": [KillClient(12)],
    "kill_client 12": [KillClient(12)],
    'KILL "client"': [Control(Verb.KILL, "client")],
    "CLEAR CACHE": [ClearCache(None)],
    "clear cache app": [ClearCache("app")],
    "RELOAD": [Reload()],
    "SHUTDOWN": [Shutdown(ShutdownMode.NOW)],
    "shutdown wait_for_servers": [Shutdown(ShutdownMode.WAIT_FOR_SERVERS)],
    "SHUTDOWN WAIT_FOR_CLIENTS": [Shutdown(ShutdownMode.WAIT_FOR_CLIENTS)],
    "SET size = 5": [Set("size", "5")],
    "set app.size to '5'": [Set("app.size", "5")],
    "SET wait_timeout_s=0.5": [Set("wait_timeout_s", "0.5")],
    "BEGIN; COMMIT; ROLLBACK": [Transaction("BEGIN"), Transaction("COMMIT"), Transaction("ROLLBACK")],
    "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY": [Transaction("BEGIN")],
    "SET extra_float_digits = 3": [Harmless("SET")],
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": [Harmless("SET")],
    "SET client_encoding TO 'UTF-8'": [Harmless("SET")],
    "RESET ALL": [Harmless("RESET")],
    "DISCARD ALL": [Harmless("DISCARD ALL")],
    "SELECT 1": [Constant("?column?", 1, "SELECT 1")],
    "select -7 as n": [Constant("n", -7, "SELECT 1")],
    "show standard_conforming_strings": [Constant("standard_conforming_strings", "on", "SHOW")],
    "SHOW TRANSACTION ISOLATION LEVEL": [Constant("transaction_isolation_level", "read committed", "SHOW")],
    "select pg_catalog.pg_is_in_recovery()": [Constant("pg_is_in_recovery", "f", "SELECT 1")],
}


@pytest.mark.parametrize(("text", "commands"), CASES.items(), ids=str)
def test_a_text_is_these_commands(text: str, commands: list[Command]) -> None:
    assert parse(text, SHOWS) == commands


@pytest.mark.parametrize(
    ("text", "sqlstate", "words"),
    [
        ("SHOW", "42704", "nothing to SHOW"),
        ("SHOW NOTHING", "42704", "'NOTHING'"),
        ("SHOW POOLS POOLS", "42704", "'POOLS POOLS'"),
        ("SELECT * FROM pools", "42601", "does not understand 'SELECT * FROM pools'"),
        ("SELECT count(x) FROM pg_class", "42601", "does not understand"),
        ("SELECT 99999999999999999999", "42601", "does not understand"),
        ("DROP TABLE x", "42601", "does not understand 'DROP TABLE x'"),
        ("PAUSE app other", "42601", "does not understand"),
        ("PAUSE app,other", "42601", "does not understand"),
        ("DISABLE", "42601", "needs the name of a database"),
        ("KILL CLIENT", "42601", "KILL needs the id"),
        ("KILL CLIENT app", "42601", "needs the id"),
        ("KILL_CLIENT -1", "42601", "needs the id"),
        ("SHUTDOWN NOW", "42601", "does not understand"),
        ("SHUTDOWN WAIT", "42601", "does not understand"),
        ("RELOAD app", "42601", "does not understand"),
        ("SET size", "42601", "needs one value"),
        ("SET", "42601", "SET what?"),
        ("SET client_encoding = LATIN1", "22023", "UTF8 only"),
        ("SHOW POOLS; 'open", "42601", "syntax error"),
        ("SHOW POOLS;" * 21, "54000", "more than 20 commands"),
        ("\x00", "42601", "syntax error"),
        ("x" * 5000, "42601", "…"),
    ],
)
def test_anything_else_is_an_error_that_says_so(text: str, sqlstate: str, words: str) -> None:
    with pytest.raises(AdminError) as caught:
        parse(text, SHOWS)
    assert caught.value.sqlstate == sqlstate
    assert words in caught.value.message
    assert len(caught.value.message) < 200


@given(st.text() | st.lists(st.sampled_from([*"; '\"=-/*()", "SHOW", "POOLS", "SET", "KILL", "1"])).map(" ".join))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    commands: list[Command] = []
    with contextlib.suppress(AdminError):
        commands = parse(text, SHOWS)
    assert len(commands) <= text.count(";") + 1
