"""Who gets in where, and how many, when the configuration says so for every database, or many come at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.clients import start
from longshore.pool.clients.auth_query import AuthQuery
from longshore.pool.clients.authentication import Authentication, ClientMethod
from longshore.pool.clients.limits import ClientLimits
from longshore.pool.clients.tls import ClientTlsMode
from longshore.pool.model import Database, Mode
from longshore.pool.pools import Pools
from longshore.pool.session_ids import begin_session_ids_at, new_session_id
from longshore.pool.slots.model import Rules
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import PlainPassword
from tests.pool.login.doors import Knock, Refused, a_target, door_on, pool_tls
from tests.postgres_logins import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

SECRET = PlainPassword(PASSWORD.encode())


async def test_users_of_all_other_databases(login_server: Server) -> None:
    """``[databases."*"] users`` holds for each database that only the asterisk means, and for no other."""
    rules = Authentication(users={"ann": SECRET, "bob": SECRET}, database_users={"*": frozenset({"ann"})})
    target = a_target(login_server.port, database="")
    databases = [Database(name="*", target=target), Database(name="own", target=a_target(login_server.port))]
    async with door_on(databases, authentication=rules) as rig:
        for database in ("postgres", "template1"):
            async with Knock(rig.port) as knock:
                await knock.log_in("ann", PASSWORD, database=database)
            async with Knock(rig.port) as knock:
                with pytest.raises(Refused, match="42501"):
                    await knock.log_in("bob", PASSWORD, database=database)
        async with Knock(rig.port) as knock:
            await knock.log_in("bob", PASSWORD, database="own")


@pytest.mark.parametrize(
    ("mode", "is_let_in"), [(ClientTlsMode.REQUIRE, True), (ClientTlsMode.VERIFY_CA, False)], ids=["require", "verify"]
)
async def test_a_unix_socket_needs_no_tls(
    login_server: Server, ca: trustme.CA, tmp_path: Path, mode: ClientTlsMode, is_let_in: bool
) -> None:
    """Libpq has no TLS there; a certificate that is demanded is demanded everywhere."""
    path = str(tmp_path / "s")
    rules = Authentication(users={"ann": SECRET}, method=ClientMethod.PASSWORD)
    pools = Pools([Database(name="*", target=a_target(login_server.port))])
    door = start.ClientDoor(pools=pools, authentication=rules, tls=pool_tls(ca, mode, ca))
    server = await asyncio.get_running_loop().create_unix_server(lambda: start.ClientStart(door), path)
    try:
        async with server, Knock(0, path=path) as knock:
            if is_let_in:
                await knock.log_in("ann", PASSWORD)
                assert knock.asked[0] is m.AuthenticationCleartextPassword
            else:
                with pytest.raises(Refused, match="28000"):
                    await knock.log_in("ann", PASSWORD)
    finally:
        await pools.aclose()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize("method", [ClientMethod.AUTO, ClientMethod.PASSWORD, ClientMethod.MD5])
async def test_an_empty_password_is_none(login_server: Server, method: ClientMethod) -> None:
    """``"ann" ""`` of PgBouncer's users file is no way in for everybody."""
    rules = Authentication(users={"ann": PlainPassword(b"")}, method=method, allows_plain_password=True)
    async with door_on(a_target(login_server.port), authentication=rules) as rig, Knock(rig.port) as knock:
        with pytest.raises(Refused, match="28P01"):
            await knock.log_in("ann", "")


async def test_names_that_clients_think_of_are_not_kept(login_server: Server) -> None:
    async with door_on(a_target(login_server.port, database="")) as rig:
        for number in range(3):
            async with Knock(rig.port) as knock:
                with pytest.raises(Refused, match="does not exist"):
                    await knock.log_in("anybody", database=f"none{number}")
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody")
            assert len(list(rig.pools.pools())) == 4
        rig.pools.drop_unused(300.0)
        assert [pool.name for pool in rig.pools.pools()] == ["postgres"]


@pytest.mark.parametrize("limits", [ClientLimits(clients=1), ClientLimits(per_user=1), ClientLimits(per_database=1)])
async def test_a_crowd_that_comes_at_once_is_counted(login_server: Server, limits: ClientLimits) -> None:
    """All are there before one of them is let in."""
    rules = Authentication(users={"ann": SECRET})
    async with door_on(a_target(login_server.port), authentication=rules, limits=limits) as rig:
        knocks = [Knock(rig.port) for _ in range(5)]
        try:
            for knock in knocks:
                await knock.__aenter__()
            outcomes = await asyncio.gather(
                *(knock.log_in("ann", PASSWORD) for knock in knocks), return_exceptions=True
            )
            assert len(rig.pools.clients) == 1
            refused = [each.error.sqlstate for each in outcomes if isinstance(each, Refused)]
            assert refused == ["53300"] * 4
        finally:
            for knock in knocks:
                await knock.__aexit__()


@pytest.mark.parametrize("limits", [ClientLimits(per_user=1), ClientLimits(per_database=1)])
async def test_strangers_do_not_learn_who_is_there(login_server: Server, limits: ClientLimits) -> None:
    rules = Authentication(users={"ann": SECRET})
    async with (
        door_on(a_target(login_server.port), authentication=rules, limits=limits) as rig,
        Knock(rig.port) as first,
        Knock(rig.port) as second,
    ):
        await first.log_in("ann", PASSWORD)
        with pytest.raises(Refused, match="28P01"):
            await second.log_in("ann", "wrong")


async def test_session_ids_that_no_process_id_can_hold(login_server: Server) -> None:
    """Every knock at the door takes one, so strangers could reach any number."""
    former = new_session_id()
    begin_session_ids_at(2**31 + former)
    try:
        async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as knock:
            await knock.log_in("anybody")
            assert 2**30 <= knock.key.process_id < 2**31
            assert await knock.value("SELECT 1") == "1"
    finally:
        begin_session_ids_at(former)


async def test_auth_query_where_sessions_keep_their_connections(login_server: Server) -> None:
    """One connection is enough for the pool's own questions: they give it back in every mode."""
    target = a_target(login_server.port, user="asker")
    databases = [
        Database(name="secrets", target=target, mode=Mode.SESSION, rules=Rules(size=1, wait_timeout_s=5.0)),
        Database(name="*", target=a_target(login_server.port)),
    ]

    def make(pools: Pools) -> dict[str, object]:
        return {"authentication": Authentication(source=AuthQuery(pools, "secrets", cache_s=0.0))}

    async with door_on(databases, make=make) as rig:
        for _ in range(3):
            async with Knock(rig.port) as knock:
                await knock.log_in("scram_user", PASSWORD)
        with pytest.raises(Refused, match="28P01"):
            async with Knock(rig.port) as knock:
                await knock.log_in("nobody", PASSWORD)


async def test_who_is_about_to_log_in_is_cut_off_at_the_end(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as knock:
        async with asyncio.timeout(20):
            while not rig.pools.starting:
                await asyncio.sleep(0.01)
            (starting,) = rig.pools.starting
            assert isinstance(starting, start.ClientStart)
            await rig.pools.aclose()
            with pytest.raises((EOFError, ConnectionError)):
                await knock.log_in("anybody")
        assert not rig.pools.starting
