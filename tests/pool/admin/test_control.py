"""What the commands do to pools and clients, with a real database behind them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.admin.access import Rights, check
from longshore.pool.admin.client import AdminFailed
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
from longshore.pool.admin.shows import SHOWS
from longshore.pool.inner_session import InnerQueryFailed, inner_query
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.serialize import serialize
from tests.pool.admin.rig import ADMIN, LIMIT_S, STATS, admin_on, asking, knocking, until, until_closed
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

CHANGING: list[Command] = [
    *(Control(verb, "app") for verb in Verb),
    KillClient(1),
    ClearCache(None),
    Set("size", "1"),
    Reload(),
    *(Shutdown(mode) for mode in ShutdownMode),
]
LOOKING: list[Command] = [Show("POOLS"), Constant("a", 1, "SELECT 1"), Harmless("SET"), Transaction("BEGIN")]


@pytest.mark.parametrize("command", CHANGING, ids=str)
def test_who_may_look_may_not_change_anything(command: Command) -> None:
    check(Rights.ALL, command)
    with pytest.raises(AdminError) as caught:
        check(Rights.SHOW, command)
    assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize("command", LOOKING, ids=str)
def test_who_may_look_may_look(command: Command) -> None:
    check(Rights.SHOW, command)


async def test_a_stats_user_cannot_kill_and_a_stranger_cannot_enter(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, session(rig.port, database="app") as one:
        await one.query("SELECT 1")
        async with asking(rig, STATS) as stats:
            (client,) = await stats.ask("SHOW CLIENTS")
            for command in (f"KILL CLIENT {client['id']}", f"KILL_CLIENT {client['id']}", "KILL app", "PAUSE app"):
                with pytest.raises(AdminFailed, match="only an admin user"):
                    await stats.ask(command)
        assert await one.value("SELECT 2") == "2"
        with pytest.raises(Exception, match="may not use the admin database"):
            async with asking(rig, "postgres"):
                pass


async def test_every_table_has_the_types_that_it_says(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await one.query("SELECT pg_advisory_lock(5)")
        for name, shown in SHOWS.items():
            rows = await admin.ask(f"SHOW {name}")
            names = [field.name for field in shown.table.fields]
            assert all(list(row) == names for row in rows), name
            for row in rows:
                for field in shown.table.fields:
                    if field.type.name != "TEXT" and row[field.name]:
                        float(row[field.name])


async def test_pause_waits_for_transactions_and_clients_wait_for_resume(postgres_server: Server) -> None:
    async with (
        admin_on(postgres_server.port) as rig,
        asking(rig) as admin,
        asking(rig) as other,
        session(rig.port, database="app") as one,
        session(rig.port, database="app") as two,
        session(rig.port, database="other") as elsewhere,
    ):
        await one.query("BEGIN")
        await other.ask("SET app.wait_timeout_s = 0.05")
        pause = asyncio.ensure_future(admin.ask("PAUSE app"))
        await until(other, "SHOW DATABASES", "paused", "1")
        two.send(m.Query(b"SELECT 'after the pause'"))
        await until(other, "SHOW CLIENTS", "state", "waiting")
        assert not pause.done()
        assert await elsewhere.value("SELECT 1") == "1"
        await one.query("COMMIT")
        await pause
        (pool,) = [row for row in await other.ask("SHOW POOLS") if row["database"] == "app"]
        assert (pool["sv_active"], pool["sv_idle"], pool["cl_waiting"]) == ("0", "0", "1")
        await asyncio.sleep(0.2)  # four times as long as anybody may wait otherwise
        await admin.ask("SET app.wait_timeout_s = 60; RESUME app")
        assert any(b"after the pause" in frame.raw for frame in await two.until_ready())


@pytest.mark.parametrize("way", ["cancel", "disconnect"])
async def test_a_pause_that_is_given_up_is_taken_back(postgres_server: Server, way: str) -> None:
    async with (
        admin_on(postgres_server.port) as rig,
        asking(rig) as other,
        session(rig.port, database="app") as one,
        session(rig.port, database="longshore", user="ann") as admin,
    ):
        await one.query("BEGIN")
        admin.send(m.Query(b"PAUSE app"))
        await until(other, "SHOW DATABASES", "paused", "1")
        if way == "cancel":
            await admin.cancel()
            frames = await admin.until_ready()
            assert b"57014" in frames[0].raw
        else:
            admin.abort()
        async with asyncio.timeout(LIMIT_S):
            while any(row["paused"] == "1" for row in await other.ask("SHOW DATABASES")):
                pass
        await one.query("COMMIT")
        assert await one.value("SELECT 1") == "1"


async def test_a_pool_that_is_made_later_is_paused_too(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin:
        await admin.ask("PAUSE")
        async with knocking(rig.port, "other") as late:
            await until(admin, "SHOW POOLS", "paused", "1")
            await admin.ask("RESUME")
            await late.until_ready()
            assert await late.value("SELECT 1") == "1"


async def test_kill_client_ends_that_one_with_a_reason(postgres_server: Server) -> None:
    async with (
        admin_on(postgres_server.port) as rig,
        asking(rig) as admin,
        session(rig.port, database="app") as one,
        session(rig.port, database="app") as two,
    ):
        await one.query("BEGIN; SET LOCAL application_name = 'x'")
        found = await until(admin, "SHOW CLIENTS", "state", "idle in transaction")
        await admin.ask(f"KILL CLIENT {found['id']}")
        frames = await until_closed(one)
        assert b"57P01" in frames[-1].raw
        assert await two.value("SELECT 1") == "1"
        with pytest.raises(AdminFailed, match="there is no client"):
            await admin.ask(f"KILL CLIENT {found['id']}")


async def test_kill_closes_everything_and_pauses(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await one.query("BEGIN")
        await admin.ask("KILL app")
        assert b"57P01" in (await until_closed(one))[-1].raw
        async with asyncio.timeout(LIMIT_S):
            while await admin.ask("SHOW SERVERS"):
                pass
        assert (await until(admin, "SHOW DATABASES", "name", "app"))["paused"] == "1"
        await admin.ask("RESUME app")
        async with session(rig.port, database="app") as two:
            assert await two.value("SELECT 1") == "1"


async def test_reconnect_replaces_the_connections(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await one.query("SELECT 1")
        (before,) = await admin.ask("SHOW SERVERS")
        await admin.ask("RECONNECT app")
        await one.query("SELECT 1")
        after = [row["remote_pid"] for row in await admin.ask("SHOW SERVERS") if row["state"] == "idle"]
        assert after
        assert before["remote_pid"] not in after


async def test_disable_lets_nobody_in_and_keeps_who_is(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await admin.ask("DISABLE app")
        assert await one.value("SELECT 1") == "1"
        async with knocking(rig.port, "app") as two:
            frames = await until_closed(two)
            assert b"57P03" in frames[-1].raw
            assert b"is disabled" in frames[-1].raw
        await admin.ask("ENABLE app")
        async with session(rig.port, database="app") as three:
            assert await three.value("SELECT 1") == "1"


async def test_set_changes_the_size_now(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port, size=1) as rig, asking(rig) as admin:
        async with session(rig.port, database="app") as one, session(rig.port, database="app") as two:
            await one.query("BEGIN")
            two.send(m.Query(b"SELECT 'let in'"))
            await until(admin, "SHOW CLIENTS", "state", "waiting")
            await admin.ask("SET app.size = 2")
            assert any(b"let in" in frame.raw for frame in await two.until_ready())
        sizes = {row["name"]: row["pool_size"] for row in await admin.ask("SHOW DATABASES")}
        assert sizes == {"app": "2", "other": "1"}
        assert {"app.size": "2", "other.size": "1"}.items() <= {
            row["key"]: row["value"] for row in await admin.ask("SHOW CONFIG")
        }.items()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("SET size = 0", "size must be a whole number"),
        ("SET size = many", "size must be a whole number"),
        ("SET wait_timeout_s = -1", "number of seconds"),
        ("SET wait_timeout_s = nan", "number of seconds"),
        ("SET colour = red", "does not know 'colour'"),
        ("SET nowhere.size = 1", '"nowhere" does not exist'),
        ("PAUSE nowhere", '"nowhere" does not exist'),
        ("KILL nowhere", '"nowhere" does not exist'),
        ("DISABLE nowhere", '"nowhere" does not exist'),
        ("CLEAR CACHE nowhere", '"nowhere" does not exist'),
    ],
)
async def test_what_cannot_be_done_is_refused(postgres_server: Server, command: str, message: str) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin:
        with pytest.raises(AdminFailed, match=message):
            await admin.ask(command)


async def test_the_process_is_told_to_reload_and_to_end(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin:
        await admin.ask("RELOAD; SHUTDOWN WAIT_FOR_CLIENTS")
        assert (rig.host.reloads, rig.host.shutdowns) == (1, [ShutdownMode.WAIT_FOR_CLIENTS])
        rig.host.problem = "line 3 is wrong"
        with pytest.raises(AdminFailed, match="line 3 is wrong") as caught:
            await admin.ask("RELOAD")
        assert caught.value.hint == "the old one is in force"


async def test_pins_and_idle_transactions_are_shown(postgres_server: Server) -> None:
    async with (
        admin_on(postgres_server.port) as rig,
        asking(rig) as admin,
        session(rig.port, database="app") as one,
        session(rig.port, database="app") as two,
    ):
        await one.query("SELECT pg_advisory_lock(7)")
        await two.query("BEGIN")
        pin = await until(admin, "SHOW PINS", "reason", "advisory lock")
        assert pin["statement"] == "SELECT pg_advisory_lock(7)"
        states = {row["state"]: row for row in await admin.ask("SHOW CLIENTS")}
        assert set(states) == {"pinned", "idle in transaction"}
        assert states["pinned"]["id"] == pin["client_id"]
        servers = {row["ptr"]: row for row in await admin.ask("SHOW SERVERS")}
        assert servers[states["pinned"]["link"]]["remote_pid"] == pin["server_pid"]
        (pool,) = await admin.ask("SHOW POOLS")
        assert (pool["cl_pinned"], pool["cl_idle_in_transaction"], pool["sv_active"]) == ("1", "1", "2")


async def test_counts_grow_with_what_is_done(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, session(rig.port, database="app") as one:
        await one.query("SELECT 1")
        (before,) = await admin.ask("SHOW STATS_TOTALS")
        for _ in range(3):
            await one.query("SELECT repeat('x', 100)")
        await one.query("BEGIN; SELECT 1")
        await one.query("COMMIT")
        (after,) = await admin.ask("SHOW STATS_TOTALS")
        grown = {name: int(after[name]) - int(before[name]) for name in after if name != "database"}
        assert (grown["xact_count"], grown["query_count"]) == (4, 5)
        assert grown["bytes_sent"] > 300
        assert grown["bytes_received"] > 75
        assert grown["xact_time"] >= grown["query_time"] > 0


async def test_a_session_is_told_that_the_pool_ends(postgres_server: Server) -> None:
    async with (
        admin_on(postgres_server.port) as rig,
        session(rig.port, database="app") as busy,
        asking(rig) as admin,
        asyncio.timeout(LIMIT_S),
    ):
        await busy.query("BEGIN")
        pausing = asyncio.ensure_future(admin.ask("PAUSE"))
        while not all(pool.state.is_paused for pool in rig.pools.pools()):
            await asyncio.sleep(0.01)
        await rig.admin.aclose()
        with pytest.raises(AdminFailed, match="the pool is shutting down"):
            await pausing
        assert not rig.admin.connections


async def test_who_does_not_read_is_asked_for_no_more(postgres_server: Server) -> None:
    """The answers to a flood of questions would be kept otherwise, all of them."""
    question = serialize(m.Query(b"SHOW CONFIG;" * 20))
    async with (
        admin_on(postgres_server.port) as rig,
        knocking(rig.port, "longshore", ADMIN) as raw,
        asyncio.timeout(LIMIT_S),
    ):
        while not rig.admin.connections:
            await asyncio.sleep(0.01)
        (connection,) = rig.admin.connections
        while connection.is_writable:
            raw.send(question)
            await asyncio.sleep(0)
        for _ in range(200):
            raw.send(question)
        for _ in range(200):
            await asyncio.sleep(0)
        # What is kept is little: the answers to few questions, and the questions lie in the kernel.
        assert connection.unsent_bytes < 1_000_000


async def test_kill_ends_the_questions_of_the_pool_too(postgres_server: Server) -> None:
    """Whoever waits for the answer, like everybody who logs in as one user, would wait for ever otherwise."""
    async with admin_on(postgres_server.port) as rig, asking(rig) as admin, asyncio.timeout(LIMIT_S):
        pool = rig.pools.find("app", "postgres")
        question = asyncio.ensure_future(inner_query(pool, "SELECT pg_sleep(600)", ()))
        while not pool.is_busy or not pool.servers():
            await asyncio.sleep(0.01)
        await admin.ask("KILL app")
        with pytest.raises(InnerQueryFailed, match="administrator command"):
            await question
        await admin.ask("RESUME app")
        assert await inner_query(pool, "SELECT 1", ()) == [(b"1",)]
