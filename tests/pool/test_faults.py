"""What breaks while sessions use the pool: nobody gets a wrong answer, and no connection is lost for good."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.suites.pool_process
from longshore.pool.servers.target import Target
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.serialize import serialize
from tests.pool.cluster import cluster
from tests.pool.plays import PLAYS
from tests.pool.rig import HOST, LIMIT_S, pool_on, session
from tests.server_process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.pool.plays import Play
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

OURS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


async def _until(client: RawSession, text: str, value: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await client.value(text) != value:
            await asyncio.sleep(0.01)


async def _last_words(client: RawSession) -> bytes:
    """Return the last message before the end of a connection."""
    last = b""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                last = (await client.frame()).raw
            except (EOFError, ConnectionError):
                return last


@pytest.mark.timeout(120)
async def test_a_restart_ends_who_was_in_the_middle_and_nobody_else() -> None:
    with cluster() as server:
        async with (
            pool_on(server.port, size=2) as rig,
            session(rig.port) as busy,
            session(rig.port) as idle,
            session(rig.port) as listening,
        ):
            await busy.query("CREATE TABLE kept (n int)")
            await idle.query("SET timezone = 'Asia/Tokyo'; PREPARE p AS SELECT 'prepared'")
            await listening.query("LISTEN news")
            await busy.query("BEGIN; INSERT INTO kept VALUES (1)")
            server.stop()
            server.start()
            words = await _last_words(busy)
            assert b"57P01" in words or b"08006" in words
            assert b"08006" in await _last_words(listening)
            assert await idle.value("SHOW timezone") == "Asia/Tokyo"
            assert await idle.value("EXECUTE p") == "prepared"
            assert await idle.value("SELECT count(*) FROM kept") == "0"
            await _until(idle, OURS, "0")


@pytest.mark.timeout(120)
async def test_a_killed_backend_takes_its_session_along(postgres_server: Server) -> None:
    with cluster() as server:
        async with pool_on(server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
            await two.query("SET timezone = 'Asia/Tokyo'")
            await one.query("BEGIN")
            pid = await one.value("SELECT pg_backend_pid()")
            assert pid is not None
            signal_process(pid, signal.SIGKILL)  # the others are restarted by the postmaster
            assert await _last_words(one)
            await _until_recovered(rig.port)
            assert await two.value("SHOW timezone") == "Asia/Tokyo"


async def _until_recovered(port: int) -> None:
    """Come back until somebody answers."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                async with session(port) as probe:
                    await probe.value("SELECT 1")
                    return
            except (EOFError, ConnectionError, AssertionError):
                await asyncio.sleep(0.05)


async def test_a_terminated_session_ends_alone(postgres_server: Server) -> None:
    async with (
        session(postgres_server.port) as outside,
        pool_on(postgres_server.port, size=2) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
    ):
        pid = await one.value("SELECT pg_backend_pid()")
        await outside.query(f"SELECT pg_terminate_backend({pid})")
        assert b"57P01" in await _last_words(one)
        assert await two.value("SELECT 'right'") == "right"


@pytest.mark.timeout(120)
@pytest.mark.one_loop("asyncio")
async def test_a_connection_that_says_nothing_any_more_is_given_up(postgres_server: Server) -> None:
    async with (
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port) as two,
        session(rig.port) as one,
        session(postgres_server.port) as outside,
    ):
        await one.query("BEGIN")
        pid = await one.value("SELECT pg_backend_pid()")
        assert pid is not None
        signal_process(pid, signal.SIGSTOP)
        try:
            one.send(m.Query(b"SELECT 'never answered'"))
            await one._writer.drain()
            one.abort()
            assert await two.value("SELECT 'right'") == "right"
        finally:
            signal_process(pid, signal.SIGCONT)
        await _until(outside, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}", "0")


def signal_process(pid: str, number: signal.Signals) -> None:
    """Send a signal to a backend."""
    os.kill(int(pid), number)


async def test_a_slow_client_slows_its_server_and_fills_nothing(postgres_server: Server) -> None:
    rows, width = 4000, 10_000
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        one.send(m.Query(f"SELECT repeat('x', {width}) FROM generate_series(1, {rows})".encode()))
        for _ in range(50):  # the other one is served meanwhile
            assert await two.value("SELECT 'right'") == "right"
        assert rig.clients[0].transport.get_write_buffer_size() < 4_000_000
        frames = await one.until_ready()
        assert len([frame for frame in frames if frame.raw[:1] == b"D" and len(frame.raw) > width]) == rows


@pytest.mark.one_loop("asyncio")
async def test_a_slow_server_slows_its_client_and_fills_nothing(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("CREATE TEMP TABLE big (t text)")
        pid = await one.value("SELECT pg_backend_pid()")
        assert pid is not None
        signal_process(pid, signal.SIGSTOP)
        try:
            one.send(m.Query(b"COPY big FROM STDIN"))
            data = serialize(m.CopyData(b"x" * 65_000 + b"\n"))
            for _ in range(400):
                one.send(data)
            for _ in range(50):
                assert await two.value("SELECT 'right'") == "right"
            server = rig.clients[0].look().server
            assert server is not None
            assert server.transport.get_write_buffer_size() < 4_000_000
        finally:
            signal_process(pid, signal.SIGCONT)
        one.send(m.CopyDone())
        await one.until_ready()
        assert await one.value("SELECT count(*) FROM big") == "400"


@pytest.mark.timeout(120)
async def test_another_host_takes_over() -> None:
    with cluster() as first, cluster() as second:
        places = {"host": HOST, "port": first.port, "more_hosts": ((HOST, second.port),)}
        target = Target(user="postgres", database="postgres", **places)  # type: ignore[arg-type]
        async with pool_on(first.port, size=2, target=target) as rig, session(rig.port) as one:
            await one.query("SET timezone = 'Asia/Tokyo'")
            assert await one.value("SELECT current_setting('port')") == str(first.port)
            first.stop()
            async with asyncio.timeout(LIMIT_S):
                while rig.pool.servers():  # it hears of it
                    await asyncio.sleep(0.01)
                assert await one.value("SELECT current_setting('port')") == str(second.port)
            assert await one.value("SHOW timezone") == "Asia/Tokyo"


@asynccontextmanager
async def _pool_process(upstream: int) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    port = free_port()
    program = Path(tests.suites.pool_process.__file__)
    process = await asyncio.create_subprocess_exec(sys.executable, program, str(upstream), str(port), "3")
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    await writer.wait_closed()
                    break
                except OSError:
                    await asyncio.sleep(0.02)
        yield port, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.one_loop("asyncio")
async def test_a_killed_pool_leaves_nothing_on_the_server() -> None:
    with cluster() as server:
        async with session(server.port) as outside, _pool_process(server.port) as (port, process):
            async with session(port) as one, session(port) as two:
                await one.query("BEGIN; CREATE TABLE never (n int)")
                await one.query("SELECT pg_advisory_lock(1)")
                two.send(m.Query(b"SELECT pg_sleep(600)"))
                await _until(outside, OURS + " AND query LIKE '%pg_sleep%'", "1")
                process.kill()
                assert not await _last_words(one)
            # A process that sleeps does not look at its socket; PostgreSQL does where it is asked to.
            await outside.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'"
            )
            await _until(outside, OURS, "0")
            assert await outside.value("SELECT to_regclass('never')") is None


_QUIET = """SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
 + (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%')
 + (SELECT count(*) FROM pg_prepared_statements WHERE from_sql)
 + (SELECT count(*) FROM pg_cursors) + (SELECT count(*) FROM pg_listening_channels())
 + (SELECT count(*) FROM pg_class WHERE relname IN ('thing', 'gone'))
 + (SELECT count(*) FROM pg_settings WHERE source = 'session' AND name IN ('search_path', 'TimeZone'))"""


@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plays=st.lists(st.sampled_from(PLAYS), min_size=1, max_size=6), cut=st.floats(0, 1), turns=st.integers(0, 50))
async def test_a_client_that_dies_at_any_byte_leaves_nothing(
    postgres_server: Server, plays: list[Play], cut: float, turns: int
) -> None:
    sent = b"".join(play.sent for play in plays)
    sent = sent[: int(len(sent) * cut)]
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as two:
        await two.query("CREATE TABLE IF NOT EXISTS shared (n int); CREATE SEQUENCE IF NOT EXISTS numbers")
        async with session(rig.port) as one:
            one.send(sent)
            await one._writer.drain()
            for _ in range(turns):  # how far it has come when its client dies
                await asyncio.sleep(0)
            one.abort()
        assert await two.value(_QUIET) == "0"
        assert await two.value("SELECT current_user || session_user") == "postgrespostgres"
