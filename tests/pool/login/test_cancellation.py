"""Every coroutine of a login, cancelled wherever it waits: no task, no socket, no connection of the pool is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.clients.auth import ClientAuth, ClientPeer
from longshore.pool.clients.auth_query import AuthQuery
from longshore.pool.clients.authentication import Authentication
from longshore.pool.inner_session import inner_query
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.cancel import send_cancel
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.pool.servers.target import TlsMode, UpstreamTls
from longshore.pool.slots.model import Rules
from longshore.proto.postgres.auth import PlainPassword
from tests.pool.login.doors import a_target
from tests.pool.login.upstream import ask, logged_in, target
from tests.sweep import MODES, Attempt, sweep

if TYPE_CHECKING:
    from tests.server_process import Server

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(120), pytest.mark.parametrize("mode", MODES)]

LIMIT_S = 20.0


async def _settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.mark.parametrize("tls", [TlsMode.DISABLE, TlsMode.PREFER], ids=lambda each: each.value)
async def test_opening_a_connection(login_server: Server, mode: str, tls: TlsMode) -> None:
    where = target(login_server.port, "scram_user", tls=UpstreamTls(mode=tls))

    async def play(attempt: Attempt) -> None:
        server = await attempt.run(open_server(1, where, lambda _: None, keys=KeyCache()))
        if server is not None:
            assert await ask(server, "SELECT 1") == "1"
            server.close()
        await asyncio.to_thread(lambda: None)  # the keys may be on their way
        await _settled()

    await sweep(play, mode)


async def test_a_cancel(login_server: Server, mode: str) -> None:
    where = target(login_server.port, "scram_user", tls=UpstreamTls(mode=TlsMode.REQUIRE))
    async with logged_in(where) as server:

        async def play(attempt: Attempt) -> None:
            await attempt.run(send_cancel(server))
            await _settled()

        await sweep(play, mode)
        async with asyncio.timeout(LIMIT_S):
            assert await ask(server, "SELECT 1") in {"1", None}  # None: the last cancel was in time for it


async def test_dialing(login_server: Server, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        sock = await attempt.run(DIRECT.dial("localhost", login_server.port))
        if sock is not None:
            sock.close()
        await asyncio.to_thread(lambda: None)
        await _settled()

    await sweep(play, mode)


async def test_a_query_of_the_pool(login_server: Server, mode: str) -> None:
    pools = Pools([Database(name="app", target=a_target(login_server.port), rules=Rules(size=1))])
    pool = pools.find("app", "anybody")

    async def play(attempt: Attempt) -> None:
        rows = await attempt.run(inner_query(pool, "SELECT $1::text, pg_catalog.pg_sleep(0.01)", ["told"]))
        assert rows is None or rows[0][0] == b"told"

    try:
        await inner_query(pool, "SELECT 1 WHERE $1 = ''", [""])  # so that its connection is no loss of the sweep
        for number in range(1, 30):
            attempt = Attempt(number, mode)
            await play(attempt)
            async with asyncio.timeout(LIMIT_S):
                while pool.is_busy:
                    await asyncio.sleep(0)
            if not attempt.was_cancelled:
                break
        assert await inner_query(pool, "SELECT $1::text", ["still here"]) == [(b"still here",)]
    finally:
        await pools.aclose()
        await _settled()


async def test_finding_a_secret(login_server: Server, mode: str) -> None:
    """Who goes does not take the answer away from who asked for the same."""
    pools = Pools([Database(name="secrets", target=a_target(login_server.port, user="asker"))])
    source = AuthQuery(pools, "secrets", cache_s=0.0)
    try:
        for number in range(1, 30):
            attempt = Attempt(number, mode)
            other = asyncio.ensure_future(source.find("scram_user"))
            await attempt.run(source.find("scram_user"))
            assert await other is not None
            if not attempt.was_cancelled:
                break
        assert not source._asking
    finally:
        await pools.aclose()
        await _settled()


async def test_deriving_keys(login_server: Server, mode: str) -> None:
    keys = KeyCache()
    rules = Authentication(users={"alice": PlainPassword(b"secret")}, keys=keys)

    async def play(attempt: Attempt) -> None:
        auth = ClientAuth(rules, "alice", ClientPeer(is_local=True))
        assert auth.begin_at_once() is None or not attempt.was_cancelled
        if auth._server is None:
            await attempt.run(auth.begin())
        await asyncio.to_thread(lambda: None)
        await _settled()

    await sweep(play, mode)
    assert auth_is_known(rules)


def auth_is_known(rules: Authentication) -> bool:
    """Return whether nothing has to be derived any more."""
    return ClientAuth(rules, "alice", ClientPeer(is_local=True)).begin_at_once() is not None


async def test_closing_all_pools(login_server: Server, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        pools = Pools([Database(name="app", target=a_target(login_server.port), rules=Rules(size=2, min_idle=2))])
        pool = pools.find("app", "anybody")
        await inner_query(pool, "SELECT 1 WHERE $1 = ''", [""])
        await attempt.run(pools.aclose(grace_s=0.01))
        await pools.aclose()
        await _settled()

    await sweep(play, mode)
