"""How a pool keeps its picture of the catalogue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.admin.show_stats import cache_lines
from longshore.pool.catalogue import loader as loader_module
from longshore.pool.catalogue import reader as reader_module
from longshore.pool.inspection.inspect import snapshot
from tests.pool.catalogue.picture import read_catalogue
from tests.pool.catalogue.schema import make_database
from tests.pool.catalogue.waiting import until_idle, until_known
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import PoolRig
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

DATABASE = "catalogue_loader"
TABLES = """
CREATE TABLE one (id int);
CREATE ROLE reader LOGIN;
ALTER ROLE reader SET search_path = 'app', "$user";
"""


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> str:
    make_database(postgres_server, "catalogue_roles", "DROP ROLE IF EXISTS reader")
    make_database(postgres_server, DATABASE, TABLES)
    return DATABASE


def has_catalogue(rig: PoolRig) -> bool:
    """Return whether there is one, without asking for it."""
    return rig.pool.shared.catalogue is not None


async def test_nobody_reads_it_who_does_not_need_it(postgres_server: Server, database: str) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT * FROM one")
        await one.query("INSERT INTO one VALUES (1)")
        assert rig.pool.shared.catalogue is None
        assert not rig.pool.catalogue.is_busy
        assert rig.pool.catalogue.loads == 0


async def test_a_change_outdates_it_at_once_and_what_did_not_change_is_not_read_again(
    postgres_server: Server, database: str
) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT 1")
        first = await until_known(rig)
        await one.query("GRANT SELECT ON one TO PUBLIC")
        assert rig.pool.shared.known_catalogue() is None
        assert await until_known(rig) is first
        assert rig.pool.catalogue.loads == 1
        await one.query("CREATE TABLE IF NOT EXISTS two (id int)")
        assert rig.pool.shared.known_catalogue() is None
        second = await until_known(rig)
        assert second is not first
        assert len(second.names.find_relations((None, "two"), ("public",))) == 1
        await one.query("DROP TABLE two")


async def test_settings_of_the_session_before_are_not_in_its_way(postgres_server: Server, database: str) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SET search_path = nowhere")
        await one.query("SET ROLE reader")
        await one.query("SET statement_timeout = 1")
        catalogue = await until_known(rig)
        assert catalogue.search_path({}) == ("postgres", "public")
        assert await one.value("SHOW search_path") == "nowhere"
        assert await one.value("SELECT current_user") == "reader"


async def test_no_function_of_a_user_runs_with_the_rights_of_the_pool(postgres_server: Server, database: str) -> None:
    async with (
        session(postgres_server.port, database) as outside,
        pool_on(postgres_server.port, size=1, database=database) as rig,
        session(rig.port, database) as one,
    ):
        await outside.query("CREATE TABLE IF NOT EXISTS stolen (n int)")
        # It fits better than the one that is built in, with its VARIADIC "any".
        await outside.query(
            'CREATE FUNCTION public.json_build_array(text, "char", text) RETURNS json LANGUAGE sql AS'
            " $$ INSERT INTO public.stolen VALUES (1); SELECT pg_catalog.json_build_array($1, $2, $3) $$"
        )
        await one.query("SELECT 1")
        await until_known(rig)
        assert await outside.value("SELECT count(*) FROM stolen") == "0"
        assert rig.pool.catalogue.failure is None
        await outside.query("DROP FUNCTION public.json_build_array; DROP TABLE stolen")


async def test_it_waits_for_a_connection_like_everybody(postgres_server: Server, database: str) -> None:
    async with (
        pool_on(postgres_server.port, size=1, database=database) as rig,
        session(rig.port, database) as one,
        session(rig.port, database) as two,
    ):
        await one.query("BEGIN")
        assert rig.pool.shared.known_catalogue() is None
        await asyncio.sleep(0)
        two.send(b"Q\0\0\0\x0dSELECT 1\0")
        await one.query("COMMIT")
        await two.until_ready()
        await until_known(rig)


async def test_what_nobody_uses_is_dropped(postgres_server: Server, database: str) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT 1")
        await until_known(rig)
        rig.pool.catalogue.refresh()
        await until_idle(rig.pool.catalogue)
        assert has_catalogue(rig)
        rig.pool.catalogue.refresh()  # nobody has asked for it since
        assert not has_catalogue(rig)
        await until_known(rig)


async def test_it_is_looked_after(postgres_server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "_INTERVAL_S", 0.05)
    async with (
        pool_on(postgres_server.port, size=1, database=database) as rig,
        session(postgres_server.port, database) as outside,
        session(rig.port, database) as one,
    ):
        await one.query("SELECT 1")
        await until_known(rig)
        await outside.query("CREATE TABLE elsewhere (id int)")
        async with asyncio.timeout(LIMIT_S):
            while True:
                catalogue = await until_known(rig)
                if catalogue.names.find_relations((None, "elsewhere"), None):
                    break
                await asyncio.sleep(0.005)
        await outside.query("DROP TABLE elsewhere")


async def test_what_cannot_be_looked_after_is_given_up(
    postgres_server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "_INTERVAL_S", 0.05)
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT 1")
        await until_known(rig)
        await one.query("BEGIN")  # nobody else has a connection now
        async with asyncio.timeout(LIMIT_S):
            while rig.pool.shared.known_catalogue() is not None:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("text", ["SELECT * FROM pg_nothing", "SELECT 'no row of ours'"])
async def test_without_an_answer_there_is_none_and_the_reason_is_told(
    postgres_server: Server,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    monkeypatch.setattr(reader_module, "catalogue_sql", lambda _: ["BEGIN", text, "COMMIT"])
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT 1")
        rig.pool.catalogue.want()
        async with asyncio.timeout(LIMIT_S):
            while rig.pool.catalogue.failure is None:
                await asyncio.sleep(0.005)
        assert "pg_nothing" in rig.pool.catalogue.failure or "cannot be read" in rig.pool.catalogue.failure
        assert rig.pool.shared.catalogue is None
        shown = [line.info.catalogue_error for line in cache_lines(snapshot(rig.pools).caches)]
        assert set(shown) == {rig.pool.catalogue.failure}
        assert [rig.pool.catalogue.failure in record.getMessage() for record in caplog.records] == [True]
        assert await one.value("SELECT 2") == "2"
        monkeypatch.undo()
        await until_known(rig)
        assert rig.pool.catalogue.failure is None


async def test_a_server_that_goes_away_in_the_middle(postgres_server: Server, database: str) -> None:
    async with (
        pool_on(postgres_server.port, size=1, database=database) as rig,
        session(postgres_server.port, database) as outside,
        session(rig.port, database) as one,
    ):
        await one.query("SELECT 1")
        rig.pool.catalogue.want()
        kill = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '' AND datname = "
        )
        await outside.query(f"{kill} '{database}' AND pid <> pg_backend_pid()")
        await until_known(rig)
        assert await one.value("SELECT 2") == "2"


async def test_the_search_path_of_a_login_is_its_own(postgres_server: Server, database: str) -> None:
    async with session(postgres_server.port, database, user="reader") as client:
        catalogue = (await read_catalogue(client)).catalogue
    assert catalogue.search_path({}) == ("app", "reader")
    assert catalogue.search_path({"role": "SET ROLE postgres"}) == ("app", "postgres")
