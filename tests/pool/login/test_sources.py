"""Where secrets come from, and with what the pool logs in for a client: auth_query, pass-through, fixed accounts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.pool.clients import auth_query
from longshore.pool.clients.auth_query import DEFAULT_QUERY, AuthQuery
from longshore.pool.clients.authentication import Authentication, ClientMethod
from longshore.pool.model import Database
from longshore.proto.postgres.auth import PlainPassword, md5_hash, parse_secret
from longshore.proto.postgres.scram import make_verifier
from tests.pool.login.doors import Knock, Refused, a_target, door_on
from tests.pool.login.upstream import ask, logged_in, target
from tests.postgres_logins import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from longshore.pool.pools import Pools
    from longshore.pool.servers.connection import ServerConnection
    from tests.pool.login.doors import DoorRig
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


@asynccontextmanager
async def _admin(server: Server) -> AsyncIterator[ServerConnection]:
    async with logged_in(target(server.port, "postgres", None)) as admin:
        yield admin


async def _refused(rig: DoorRig, user: str, secret: str | None = PASSWORD, database: str = "postgres") -> str:
    async with Knock(rig.port) as knock:
        with pytest.raises(Refused) as caught:
            await knock.log_in(user, secret, database=database)
    return caught.value.error.sqlstate


async def _user_of(rig: DoorRig, user: str, secret: str | None = PASSWORD, database: str = "postgres") -> str | None:
    async with Knock(rig.port) as knock:
        await knock.log_in(user, secret, database=database)
        return await knock.value("SELECT session_user")


# -- pass-through ----------------------------------------------------------------------------------


async def test_a_verifier_is_enough_to_log_in_as_the_client(login_server: Server) -> None:
    async with _admin(login_server) as admin:
        stored = await ask(admin, "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")
    rules = Authentication(users={"scram_user": parse_secret(str(stored))})
    async with door_on(a_target(login_server.port, user=""), authentication=rules) as rig:
        assert await _user_of(rig, "scram_user") == "scram_user"
        assert await _refused(rig, "scram_user", "wrong") == "28P01"


async def test_an_md5_hash_is_enough_where_the_database_asks_for_md5(login_server: Server) -> None:
    rules = Authentication(users={"md5_user": md5_hash(b"md5_user", PASSWORD.encode())})
    async with door_on(a_target(login_server.port, user=""), authentication=rules) as rig:
        assert await _user_of(rig, "md5_user") == "md5_user"


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user"])
async def test_a_password_in_the_users_file_logs_in_anywhere(login_server: Server, user: str) -> None:
    rules = Authentication(users={user: PlainPassword(PASSWORD.encode())})
    async with door_on(a_target(login_server.port, user=""), authentication=rules) as rig:
        assert await _user_of(rig, user) == user


async def test_a_password_in_clear_text_logs_in_where_the_verifier_is_another(login_server: Server) -> None:
    users = {"scram_user": make_verifier(PASSWORD.encode(), salt=b"not the database's")}
    other = Authentication(users=users, method=ClientMethod.PASSWORD, allows_plain_password=True)
    async with door_on(a_target(login_server.port, user=""), authentication=other) as rig:
        assert await _user_of(rig, "scram_user") == "scram_user"
    async with door_on(a_target(login_server.port, user=""), authentication=Authentication(users=users)) as rig:
        # Its keys fit the pool's verifier, not the database's.
        assert await _refused(rig, "scram_user") in {"08001", "28P01"}


async def test_each_user_has_a_pool_of_its_own(login_server: Server) -> None:
    users = {name: PlainPassword(PASSWORD.encode()) for name in ("scram_user", "other_user")}
    async with door_on(a_target(login_server.port, user=""), authentication=Authentication(users=users)) as rig:
        for _ in range(3):
            assert await _user_of(rig, "scram_user") == "scram_user"
            assert await _user_of(rig, "other_user") == "other_user"
        assert {pool.target.user for pool in rig.pools.pools()} == {"scram_user", "other_user"}
        assert all(pool.statistics.logins == 3 for pool in rig.pools.pools())
        assert all(pool.statistics.server_logins == 1 for pool in rig.pools.pools())


async def test_a_password_that_was_changed_in_the_database(login_server: Server) -> None:
    """The pool goes on with the new one as soon as a client has shown it."""
    async with door_on(_databases(login_server), make=_asking(login_server)) as rig, _admin(login_server) as admin:
        await ask(admin, f"ALTER ROLE other_user PASSWORD '{PASSWORD} new'")
        try:
            assert await _user_of(rig, "other_user", f"{PASSWORD} new") == "other_user"
            await ask(admin, f"ALTER ROLE other_user PASSWORD '{PASSWORD}'")
            assert await _refused(rig, "other_user", PASSWORD) == "28P01"  # what was cached is forgotten now
            assert await _user_of(rig, "other_user", PASSWORD) == "other_user"
        finally:
            await ask(admin, f"ALTER ROLE other_user PASSWORD '{PASSWORD}'")


async def test_a_fixed_account(login_server: Server) -> None:
    rules = Authentication(users={"alice": PlainPassword(b"alice's own")})
    where = a_target(login_server.port, user="scram_user", password=PASSWORD)
    async with door_on(where, authentication=rules) as rig:
        assert await _user_of(rig, "alice", "alice's own") == "scram_user"
        assert await _refused(rig, "alice", PASSWORD) == "28P01"


async def test_a_fixed_account_that_is_refused_is_not_the_clients_fault(login_server: Server) -> None:
    rules = Authentication(users={"alice": PlainPassword(b"alice's own")})
    where = a_target(login_server.port, user="scram_user", password="not this one")
    async with door_on(where, authentication=rules) as rig, Knock(rig.port) as knock:
        with pytest.raises(Refused) as caught:
            await knock.log_in("alice", "alice's own")
        assert caught.value.error.sqlstate == "08001"
        assert "the pool's own account was refused" in caught.value.error.message
        assert "not this one" not in caught.value.error.message


# -- auth_query ------------------------------------------------------------------------------------


def _databases(server: Server) -> list[Database]:
    return [
        Database(name="secrets", target=a_target(server.port, user="asker")),
        Database(name="*", target=a_target(server.port, user="")),
    ]


def _asking(server: Server, query: str = DEFAULT_QUERY, **values: float) -> Callable[[Pools], dict[str, object]]:
    def make(pools: Pools) -> dict[str, object]:
        return {"authentication": Authentication(source=AuthQuery(pools, "secrets", query, **values))}

    return make


@pytest.mark.parametrize("user", ["scram_user", "md5_user"])
async def test_secrets_of_the_database(login_server: Server, user: str) -> None:
    async with door_on(_databases(login_server), make=_asking(login_server)) as rig:
        for _ in range(2):
            assert await _user_of(rig, user) == user
            assert await _refused(rig, user, "wrong") == "28P01"
        assert await _refused(rig, "nobody", "wrong") == "28P01"
        assert await _refused(rig, "cert_user", "wrong") == "28P01"  # has no password
        assert await _refused(rig, "nobody'; DROP ROLE scram_user; --", "wrong") == "28P01"


async def test_answers_are_kept_for_a_short_time(login_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    inner = auth_query.inner_query  # type: ignore[attr-defined]  # it is there, though not for others

    async def inner_and_tell(*arguments: object) -> list[tuple[bytes | None, ...]]:
        asked.append(arguments[2])
        return await inner(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(auth_query, "inner_query", inner_and_tell)
    async with door_on(_databases(login_server), make=_asking(login_server)) as rig:
        for _ in range(3):
            await _user_of(rig, "scram_user")
        assert asked == [["scram_user"]]
        await _refused(rig, "scram_user", "wrong")
        await _user_of(rig, "scram_user")
        assert asked == [["scram_user"]] * 2
    asked.clear()
    async with door_on(_databases(login_server), make=_asking(login_server, cache_s=0.0)) as rig:
        for _ in range(3):
            await _user_of(rig, "scram_user")
        assert len(asked) == 3


async def test_a_client_cannot_slip_in_a_function_of_its_own(login_server: Server) -> None:
    """CVE-2025-12819: ``search_path`` of a client, and of a role, must not lead the pool's query astray."""
    async with _admin(login_server) as admin:
        await ask(admin, "DROP SCHEMA IF EXISTS evil CASCADE")
        await ask(admin, "CREATE SCHEMA evil")
        await ask(
            admin,
            "CREATE VIEW evil.pg_shadow AS SELECT 'scram_user'::text usename, 'stolen' passwd",
        )
        await ask(admin, "CREATE FUNCTION evil.seen(text) RETURNS text LANGUAGE sql AS 'SELECT ''stolen''::text'")
        await ask(admin, "ALTER ROLE asker SET search_path = evil, pg_catalog")
        try:
            query = "SELECT usename, passwd FROM pg_shadow WHERE usename = $1"  # not schema-qualified
            async with door_on(_databases(login_server), make=_asking(login_server, query, cache_s=0.0)) as rig:
                # A session of the same account leaves its search_path on the only connection there is.
                async with Knock(rig.port) as knock:
                    with pytest.raises(Refused, match="28P01"):
                        await knock.log_in("scram_user", "stolen", search_path="evil, pg_catalog", database="secrets")
                assert await _refused(rig, "scram_user", "stolen") == "28P01"
                assert await _user_of(rig, "scram_user", PASSWORD) == "scram_user"
            query = "SELECT $1::text, seen($1)"
            async with door_on(_databases(login_server), make=_asking(login_server, query)) as rig:
                assert await _refused(rig, "scram_user", "stolen") == "08006"
                assert "42883" in rig.refused[-1].reason  # there is no such function in pg_catalog
        finally:
            await ask(admin, "ALTER ROLE asker RESET search_path")
            await ask(admin, "DROP SCHEMA evil CASCADE")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1", "bind message supplies 1"),
        ("SELECT $1::text", "1 rows of 1 columns"),
        ("SELECT $1::text, 'x' FROM pg_catalog.generate_series(1, 2)", "2 rows of 2 columns"),
        ("nonsense", "42601"),
        ("SELECT $1::text, (1 / 0)::text", "22012"),
    ],
)
async def test_a_query_that_does_not_do(login_server: Server, query: str, words: str) -> None:
    async with door_on(_databases(login_server), make=_asking(login_server, query)) as rig:
        assert await _refused(rig, "scram_user") == "08006"
        assert words in rig.refused[0].reason
        assert words not in rig.refused[0].error.message


async def test_a_query_that_names_somebody_else(login_server: Server) -> None:
    query = "SELECT 'somebody else', $1::text"
    async with door_on(_databases(login_server), make=_asking(login_server, query)) as rig:
        assert await _refused(rig, "scram_user", "scram_user") == "28P01"


async def test_a_database_without_an_account_cannot_be_asked(login_server: Server) -> None:
    databases = [Database(name="secrets", target=a_target(login_server.port, user=""))]
    async with door_on(databases, make=_asking(login_server)) as rig:
        assert await _refused(rig, "scram_user", database="secrets") == "08006"
        assert "no account of its own" in rig.refused[0].reason


async def test_who_is_in_the_file_is_not_asked_for(login_server: Server) -> None:
    def make(pools: Pools) -> dict[str, object]:
        users = {"scram_user": PlainPassword(b"of the file")}
        return {"authentication": Authentication(users=users, source=AuthQuery(pools, "secrets"))}

    databases = [
        Database(name="secrets", target=a_target(login_server.port, user="asker")),
        Database(name="app", target=a_target(login_server.port, user="postgres")),
    ]
    async with door_on(databases, make=make) as rig:
        assert await _user_of(rig, "scram_user", "of the file", database="app") == "postgres"
        assert await _refused(rig, "scram_user", PASSWORD, database="app") == "28P01"
        assert await _user_of(rig, "md5_user", PASSWORD, database="app") == "postgres"


async def test_nothing_of_the_inner_session_is_left(login_server: Server) -> None:
    """A client on the connection that the query ran on has its own search_path."""
    async with (
        door_on(_databases(login_server), make=_asking(login_server, cache_s=0.0)) as rig,
        Knock(rig.port) as knock,
    ):
        await knock.log_in("scram_user", PASSWORD, database="secrets")
        for _ in range(3):
            assert await knock.value("SHOW search_path") == '"$user", public'
            await _user_of(rig, "md5_user")
