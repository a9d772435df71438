"""Functions that leave nothing cost nothing, and those that do are noticed: through a pool, against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.pool.session import engine as session_module
from longshore.pool.session import probe as probe_module
from tests.pool.catalogue.schema import make_database
from tests.pool.catalogue.waiting import until_known
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

DATABASE = "catalogue_trust"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> str:
    make_database(postgres_server, DATABASE)
    return DATABASE


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What servers were asked about sessions."""
    asked: list[str] = []

    def probe_sql(*args: Any, **options: Any) -> str:
        asked.append(session_module_probe(*args, **options))
        return asked[-1]

    session_module_probe = probe_module.probe_sql
    monkeypatch.setattr(session_module, "probe_sql", probe_sql)
    return asked


async def test_what_is_harmless_needs_no_question(postgres_server: Server, database: str, probes: list[str]) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.value("SELECT pure_add(1, 2)")
        assert len(probes) == 1  # nobody knew
        await until_known(rig)
        for _ in range(3):
            assert await one.value("SELECT pure_add(1, 2)") == "3"
            await one.query("SELECT write_plain()")
            await one.query("SELECT similarity('a', 'b')")
        assert len(probes) == 1
        await one.query("SELECT takes_short_lock()")
        await one.query("SELECT pl_dynamic()")
        await one.query("SELECT sets_guc()")
        assert await one.value("SELECT 1") == "1"
        assert len(probes) == 3


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("SELECT takes_lock()", ["advisory lock"]),
        ("SELECT calls_lock()", ["advisory lock"]),
        ("SELECT makes_temp()", ["temporary object"]),
        ("SELECT pure_add(1, 2), takes_lock()", ["advisory lock"]),
    ],
)
async def test_what_is_left_is_noticed(postgres_server: Server, database: str, text: str, pins: list[str]) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("SELECT pure_add(1, 2)")
        await until_known(rig)
        await one.query(text)
        await one.value("SELECT 'it has been asked'")
        assert rig.pins == pins


async def test_a_parameter_that_a_function_sets_is_carried_over(postgres_server: Server, database: str) -> None:
    async with (
        pool_on(postgres_server.port, size=1, database=database) as rig,
        session(rig.port, database) as one,
        session(rig.port, database) as two,
    ):
        await one.query("SELECT pure_add(1, 2)")
        await until_known(rig)
        await one.query("SELECT sets_guc()")
        assert await two.value("SELECT coalesce(current_setting('a.b', true), '')") == ""
        assert await one.value("SELECT current_setting('a.b', true)") == "1"


async def test_a_procedure_that_is_harmless_changes_no_catalogue(postgres_server: Server, database: str) -> None:
    async with pool_on(postgres_server.port, size=1, database=database) as rig, session(rig.port, database) as one:
        await one.query("CALL proceeds()")  # nobody knows yet
        await until_known(rig)
        epoch = rig.pool.shared.epoch
        await one.query("CALL proceeds()")
        await one.query("SELECT 1")
        assert rig.pool.shared.epoch == epoch
        await one.query("CALL ends()")
        await one.query("SELECT 1")
        assert rig.pool.shared.epoch == epoch + 1


HARMLESS = "CREATE OR REPLACE FUNCTION changing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$"
LOCKING = HARMLESS.replace("PERFORM 1", "PERFORM pg_advisory_lock(8)")


@pytest.mark.parametrize(
    "texts",
    [
        [LOCKING, "SELECT changing()"],
        [f"{LOCKING}; SELECT changing()"],
        ["BEGIN", LOCKING, "SELECT changing()", "COMMIT"],
        [f"DO $do$ BEGIN EXECUTE $e$ {LOCKING} $e$; END $do$", "SELECT changing()"],
    ],
)
async def test_a_function_that_is_replaced_is_not_trusted_any_more(
    postgres_server: Server, database: str, probes: list[str], texts: list[str]
) -> None:
    async with (
        pool_on(postgres_server.port, size=2, database=database) as rig,
        session(rig.port, database) as one,
        session(rig.port, database) as two,
    ):
        await one.query(HARMLESS)
        await one.query("SELECT changing()")
        await until_known(rig)
        before = len(probes)
        await one.query("SELECT changing()")
        await one.query("SELECT 1")
        assert len(probes) == before
        for text in texts:
            await two.query(text)
        await two.query("SELECT 'it has been asked'")
        assert rig.pins == ["advisory lock"]
        assert await one.value(LOCKS) == "1"
        await two.query("SELECT pg_advisory_unlock_all()")


async def test_one_that_is_replaced_past_the_pool_is_noticed_at_the_next_look(
    postgres_server: Server, database: str
) -> None:
    async with (
        pool_on(postgres_server.port, size=2, database=database) as rig,
        session(postgres_server.port, database) as outside,
        session(rig.port, database) as one,
    ):
        await one.query(HARMLESS)
        await one.query("SELECT changing()")
        await until_known(rig)
        await outside.query(LOCKING)
        loads = rig.pool.catalogue.loads
        rig.pool.catalogue.refresh()  # what it does every minute
        async with asyncio.timeout(LIMIT_S):
            while rig.pool.catalogue.loads == loads:
                await asyncio.sleep(0.01)
        await one.query("SELECT changing()")
        await one.query("SELECT 'it has been asked'")
        assert rig.pins == ["advisory lock"]


async def test_a_change_whose_client_died_outdates_the_catalogue(postgres_server: Server, database: str) -> None:
    async with pool_on(postgres_server.port, size=2, database=database) as rig, session(rig.port, database) as one:
        await one.query(HARMLESS)
        await one.query("SELECT changing()")
        await until_known(rig)
        catalogue = rig.pool.shared.catalogue
        async with session(rig.port, database) as two:
            await two.query("SELECT 1")  # so that there is a server connection for it
            two.send(b"Q" + (len(LOCKING) + 5).to_bytes(4, "big") + LOCKING.encode() + b"\0")
            two.abort()
        async with asyncio.timeout(LIMIT_S):
            while await one.value("SELECT prosrc ~ 'advisory' FROM pg_proc WHERE proname = 'changing'") != "t":
                if rig.pool.shared.epoch != (catalogue.epoch if catalogue is not None else -1):
                    break  # it was cancelled, which is as good
        async with asyncio.timeout(LIMIT_S):
            while rig.pool.shared.changing:
                await asyncio.sleep(0.01)
        assert catalogue is not None
        assert catalogue.epoch != rig.pool.shared.epoch
