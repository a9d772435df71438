"""``Pools``: who gets which pool, and what a reload changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import pytest

from longshore.pool.model import Database, Mode
from longshore.pool.pools import Pools
from longshore.pool.refusals import PoolRefused
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.slots.model import Rules
from longshore.pool.slots.state import Phase
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.serialize import serialize_startup
from tests.pool.login.doors import LIMIT_S, Knock, Refused, a_target, door_on
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.pool import Pool
    from tests.pool.login.doors import DoorRig
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0)


def _one(rig: DoorRig) -> Pool:
    (pool,) = rig.pools.pools()
    return pool


async def test_names_and_what_a_target_leaves_open() -> None:
    where = Target(host=HOST, port=1, user="", database="")
    fixed = Target(host=HOST, port=1, user="app", database="behind")
    pools = Pools([Database(name="*", target=where), Database(name="front", target=fixed)])
    try:
        anyone = pools.find("sales", "alice")
        assert (anyone.target.database, anyone.target.user, anyone.name) == ("sales", "alice", "sales")
        assert pools.find("sales", "alice") is anyone
        assert pools.find("sales", "bob") is not anyone
        assert pools.find("stock", "alice") is not anyone
        front = pools.find("front", "alice")
        assert (front.target.database, front.target.user, front.name) == ("behind", "app", "front")
        assert pools.find("front", "bob") is front
        assert anyone.opener.is_own_account
        assert not front.opener.is_own_account
    finally:
        await pools.aclose()


async def test_the_same_target_under_two_names_is_two_pools() -> None:
    where = Target(host=HOST, port=1, user="app", database="behind")
    pools = Pools([Database(name="one", target=where), Database(name="two", target=where, rules=Rules(size=3))])
    try:
        assert pools.find("one", "alice") is not pools.find("two", "alice")
    finally:
        await pools.aclose()


async def test_no_such_database() -> None:
    pools = Pools([Database(name="one", target=Target(host=HOST, port=1, user="app", database="behind"))])
    with pytest.raises(PoolRefused) as caught:
        pools.find("two", "alice")
    assert caught.value.error.sqlstate == "3D000"
    await pools.aclose()
    with pytest.raises(PoolRefused) as caught:
        pools.find("one", "alice")
    assert caught.value.error.sqlstate == "57P01"


async def test_rules_change_at_once(login_server: Server) -> None:
    database = Database(name="app", target=a_target(login_server.port), rules=Rules(size=1))
    async with door_on([database]) as rig, Knock(rig.port) as one, Knock(rig.port) as two:
        await one.log_in("anybody", database="app")
        await two.log_in("anybody", database="app")
        await one.value("BEGIN")
        waiting = asyncio.ensure_future(two.value("SELECT 2"))
        await _until(lambda: _one(rig).state.waiting == 1)
        rig.pools.reload([replace(database, rules=Rules(size=2), mode=Mode.SESSION)])
        assert await waiting == "2"
        assert _one(rig).mode is Mode.SESSION


async def test_a_target_that_changes_drops_nobody(login_server: Server) -> None:
    """Who is in a transaction ends it where it began; the next one is at the new place."""
    database = Database(name="app", target=a_target(login_server.port, database="postgres"), rules=Rules(size=2))
    async with door_on([database]) as rig, Knock(rig.port) as busy, Knock(rig.port) as idle:
        await busy.log_in("anybody", database="app")
        await idle.log_in("anybody", database="app")
        await busy.value("BEGIN")
        assert await busy.value("SELECT current_database()") == "postgres"
        assert await idle.value("SELECT current_database()") == "postgres"
        rig.pools.reload([replace(database, target=a_target(login_server.port, database="template1"))])
        assert await idle.value("SELECT current_database()") == "template1"
        assert await busy.value("SELECT current_database()") == "postgres"
        await busy.value("COMMIT")
        assert await busy.value("SELECT current_database()") == "template1"
        async with Knock(rig.port) as late:
            await late.log_in("anybody", database="app")
            assert await late.value("SELECT current_database()") == "template1"


async def test_a_database_that_is_removed(login_server: Server) -> None:
    app, other = (Database(name=name, target=a_target(login_server.port)) for name in ("app", "other"))
    async with door_on([app, other]) as rig, Knock(rig.port) as inside:
        await inside.log_in("anybody", database="app")
        rig.pools.reload([other])
        assert await inside.value("SELECT 1") == "1"
        async with Knock(rig.port) as knock:
            with pytest.raises(Refused, match="3D000"):
                await knock.log_in("anybody", database="app")
        retired = _one(rig)
        rig.pools.drop_unused(0.0)
        assert _one(rig) is retired  # somebody is in it
        inside.writer.transport.abort()
        await _until(lambda: not rig.pools.clients)
        await _until(lambda: not retired.is_busy)
        rig.pools.drop_unused(0.0)
        assert not list(rig.pools.pools())


async def test_a_database_that_comes_back_is_another(login_server: Server) -> None:
    app = Database(name="app", target=a_target(login_server.port))
    async with door_on([app]) as rig, Knock(rig.port) as inside, Knock(rig.port) as late:
        await inside.log_in("anybody", database="app")
        rig.pools.reload([])
        rig.pools.reload([app])
        await late.log_in("anybody", database="app")
        assert await inside.value("SELECT 1") == await late.value("SELECT 1") == "1"
        assert len(list(rig.pools.pools())) == 2


async def test_pools_that_nobody_uses_are_dropped(login_server: Server) -> None:
    databases = [
        Database(name="*", target=a_target(login_server.port, user="", database="")),
        Database(name="fixed", target=a_target(login_server.port)),
    ]
    async with door_on(databases) as rig, Knock(rig.port) as stays:
        for name in ("postgres", "template1", "fixed"):
            async with Knock(rig.port) as knock:
                await knock.log_in("postgres", database=name)
        await stays.log_in("postgres", database="postgres")
        await _until(lambda: len(rig.pools.clients) == 1)
        rig.pools.drop_unused(3600.0)
        assert len(list(rig.pools.pools())) == 3
        rig.pools.drop_unused(0.0)
        assert {pool.name for pool in rig.pools.pools()} == {"postgres", "fixed"}
        assert await stays.value("SELECT 1") == "1"


async def test_connections_that_are_to_be_there_before_anybody_asks(login_server: Server) -> None:
    database = Database(name="app", target=a_target(login_server.port), rules=Rules(size=5, min_idle=3))
    async with door_on([database]) as rig:
        await _until(lambda: _one(rig).state.count(Phase.IDLE) == 3)


async def test_the_end_waits_for_transactions(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as busy, Knock(rig.port) as idle:
        await busy.log_in("anybody")
        await idle.log_in("anybody")
        await busy.value("BEGIN")
        closing = asyncio.ensure_future(rig.pools.aclose(grace_s=LIMIT_S))
        assert b"57P01" in await idle.rest()
        async with Knock(rig.port) as late:
            with pytest.raises(Refused, match="57P01"):
                await late.log_in("anybody")
        assert await busy.value("SELECT 1") == "1"
        await busy.value("COMMIT")
        assert b"57P01" in await busy.rest()
        await closing


# -- health ----------------------------------------------------------------------------------------


async def test_a_connection_that_was_idle_for_long_is_asked_first(login_server: Server) -> None:
    database = Database(name="app", target=a_target(login_server.port), rules=Rules(size=1, probe_after_s=0.0))
    async with door_on([database]) as rig, Knock(rig.port) as knock:
        await knock.log_in("anybody", database="app", application_name="asked")
        for _ in range(5):
            assert await knock.value("SELECT 1") == "1"
        assert _one(rig).statistics.server_logins == 1


async def test_a_connection_that_is_dead_is_replaced(monkeypatch: pytest.MonkeyPatch, login_server: Server) -> None:
    """It takes everything and answers nothing, as behind a firewall that has forgotten it."""
    monkeypatch.setattr("longshore.pool.servers.health._LIMIT_S", 0.5)
    async with _Relay(login_server.port) as relay:
        where = a_target(relay.port)
        database = Database(name="app", target=where, rules=Rules(size=1, probe_after_s=0.0))
        async with door_on([database]) as rig, Knock(rig.port) as knock:
            await knock.log_in("anybody", database="app")
            assert await knock.value("SELECT 1") == "1"
            relay.is_dead = True
            asked = asyncio.ensure_future(knock.value("SELECT 2"))
            await _until(lambda: relay.swallowed > 0)
            relay.is_dead = False
            assert await asked == "2"
            assert _one(rig).statistics.server_logins >= 2


async def test_connections_grow_old(login_server: Server) -> None:
    database = Database(name="app", target=a_target(login_server.port), rules=Rules(size=1, lifetime_s=0.5))
    async with door_on([database]) as rig, Knock(rig.port) as knock:
        await knock.log_in("anybody", database="app")
        assert _one(rig).statistics.server_logins >= 1
        await _until(lambda: not _one(rig).servers())


class _Relay:
    """Between the pool and the database; what is open when it plays dead stays dead."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.is_dead = False
        self.swallowed = 0
        self._dead: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, below = await asyncio.open_connection(HOST, self._to)
        self._writers |= {writer, below}
        for source, sink in ((reader, below), (above, writer)):
            self._tasks.add(asyncio.ensure_future(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.is_dead:
                    self._dead.add(sink)
                if sink in self._dead:
                    self.swallowed += 1
                else:
                    sink.write(data)
            sink.close()
        except ConnectionError:
            sink.transport.abort()


# -- several hosts ---------------------------------------------------------------------------------


async def test_the_next_host_when_one_does_not_answer(login_server: Server) -> None:
    where = Target(
        host=HOST,
        port=free_port(),
        user="postgres",
        database="postgres",
        more_hosts=((HOST, free_port()), (HOST, login_server.port)),
    )
    async with door_on(where) as rig, Knock(rig.port) as knock:
        await knock.log_in("anybody")
        assert await knock.value("SELECT inet_server_port()") == str(login_server.port)


async def test_no_host_answers() -> None:
    ports = free_port(), free_port()
    where = Target(host=HOST, port=ports[0], user="u", database="d", more_hosts=((HOST, ports[1]),))
    database = Database(name="app", target=where, rules=Rules(wait_timeout_s=0.3))
    async with door_on([database]) as rig, Knock(rig.port) as knock:
        with pytest.raises(Refused) as caught:
            await knock.log_in("anybody", database="app")
        assert caught.value.error.sqlstate == "08001"
        for port in ports:
            assert f"{HOST}:{port}" in caught.value.error.message


@pytest.mark.parametrize("version", ["reported", "asked"])
async def test_only_a_primary_will_do(login_server: Server, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if version == "asked":  # as PostgreSQL 13 and older
        monkeypatch.setattr("longshore.pool.servers.writability._REPORTED", (b"nobody reports this",))
    read_only = "-c default_transaction_read_only=on"
    where = a_target(login_server.port, is_primary_wanted=True)
    async with door_on(where) as rig, Knock(rig.port) as knock:
        await knock.log_in("anybody")
        assert await knock.value("SELECT 1") == "1"
    database = Database(name="app", target=replace(where, options=read_only), rules=Rules(wait_timeout_s=1.5))
    async with door_on([database]) as rig, Knock(rig.port) as knock:
        with pytest.raises(Refused, match="a primary is wanted"):
            await knock.log_in("anybody", database="app")


async def test_a_cancel_goes_to_the_host_that_knows_the_process(login_server: Server) -> None:
    where = Target(
        host=HOST, port=free_port(), user="postgres", database="postgres", more_hosts=((HOST, login_server.port),)
    )
    async with door_on(where) as rig, Knock(rig.port) as knock:
        await _cancel_a_query(rig, knock)


async def _cancel_a_query(rig: DoorRig, knock: Knock) -> None:
    await knock.log_in("anybody")
    sleeping = asyncio.ensure_future(knock.value("SELECT pg_sleep(60)"))
    while not sleeping.done():
        async with Knock(rig.port) as other:
            other.send(serialize_startup(m.CancelRequest(knock.key.process_id, knock.key.secret_key)))
            await other.rest()
        await asyncio.wait([sleeping], timeout=0.01)
    with pytest.raises(Refused, match="57014"):
        await sleeping


@pytest.mark.parametrize("place", ["tls", "unix"])
async def test_a_cancel_is_encrypted_as_the_connection_is(login_server: Server, place: str) -> None:
    where = a_target(login_server.port, tls=UpstreamTls(mode=TlsMode.REQUIRE))
    if place == "unix":
        where = replace(where, host=str(login_server.directory))
    async with door_on(where) as rig, Knock(rig.port) as knock:
        await _cancel_a_query(rig, knock)
