"""Real drivers at the door: libpq by psycopg, and asyncpg, each with its own TLS and SCRAM."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest

from longshore.pool.clients.authentication import Authentication
from longshore.pool.clients.tls import ClientTlsMode
from longshore.proto.postgres.auth import PlainPassword, md5_hash
from longshore.proto.postgres.scram import make_verifier
from tests.pool.login.doors import a_target, client_context, door_on, pool_tls
from tests.server_process import HOST

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from longshore.proto.postgres.auth import Secret
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

PASSWORD = "p\u00e4ssword \u2168"
SECRETS: dict[str, Secret] = {
    "plain": PlainPassword(PASSWORD.encode()),
    "scram": make_verifier(PASSWORD.encode(), salt=b"salt of the tests"),
    "md5": md5_hash(b"md5", PASSWORD.encode()),
}


def _conninfo(words: dict[str, str]) -> str:
    return " ".join(f"{name}='{value}'" for name, value in words.items())


def _libpq(port: int, user: str, **options: str) -> str:
    words = {"host": "localhost", "hostaddr": HOST, "port": str(port), "dbname": "postgres", "user": user}
    with psycopg.connect(_conninfo(words | {"password": PASSWORD} | options)) as connection:
        (found,) = connection.execute("SELECT session_user").fetchone()  # type: ignore[misc]  # one row
        return str(found)


@pytest.mark.parametrize("user", list(SECRETS))
@pytest.mark.parametrize("sslmode", ["disable", "require", "verify-full"])
async def test_libpq(login_server: Server, ca: trustme.CA, ca_file: Path, user: str, sslmode: str) -> None:
    rules = Authentication(users=SECRETS)
    async with door_on(a_target(login_server.port), authentication=rules, tls=pool_tls(ca)) as rig:
        options = {"sslmode": sslmode, "sslrootcert": str(ca_file)}
        assert await asyncio.to_thread(_libpq, rig.port, user, **options) == "postgres"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await asyncio.to_thread(_libpq, rig.port, user, **{**options, "password": "wrong"})


async def test_libpq_demands_channel_binding(login_server: Server, ca: trustme.CA, ca_file: Path) -> None:
    rules = Authentication(users=SECRETS)
    options = {"channel_binding": "require", "sslmode": "verify-full", "sslrootcert": str(ca_file)}
    async with door_on(a_target(login_server.port), authentication=rules, tls=pool_tls(ca)) as rig:
        assert await asyncio.to_thread(_libpq, rig.port, "scram", **options) == "postgres"
        with pytest.raises(psycopg.OperationalError, match="channel binding"):
            await asyncio.to_thread(_libpq, rig.port, "md5", **options)


async def test_libpq_is_told_what_to_do(login_server: Server, ca: trustme.CA) -> None:
    tls = pool_tls(ca, ClientTlsMode.REQUIRE)
    async with door_on(a_target(login_server.port), tls=tls) as rig:
        with pytest.raises(psycopg.OperationalError, match="set sslmode=require"):
            await asyncio.to_thread(_libpq, rig.port, "anybody", sslmode="disable")


async def test_libpq_starts_tls_directly(login_server: Server, ca: trustme.CA, ca_file: Path) -> None:
    rules = Authentication(users=SECRETS)
    options = {"sslnegotiation": "direct", "sslmode": "verify-full", "sslrootcert": str(ca_file)}
    async with door_on(a_target(login_server.port), authentication=rules, tls=pool_tls(ca)) as rig:
        assert await asyncio.to_thread(_libpq, rig.port, "scram", **options) == "postgres"


@pytest.mark.parametrize("newest", ["3.0", "3.2", "latest"])
async def test_libpq_of_each_protocol(login_server: Server, newest: str) -> None:
    async with door_on(a_target(login_server.port), authentication=Authentication(users=SECRETS)) as rig:
        options = {"max_protocol_version": newest, "min_protocol_version": "3.0" if newest == "3.0" else "3.2"}
        assert await asyncio.to_thread(_libpq, rig.port, "scram", **options) == "postgres"


async def test_libpq_cancels_over_tls(login_server: Server, ca: trustme.CA) -> None:
    def sleep(port: int) -> str:
        words = {"host": HOST, "port": str(port), "dbname": "postgres", "user": "scram", "password": PASSWORD}
        with psycopg.connect(_conninfo(words | {"sslmode": "require"})) as connection:
            cursor = connection.cursor()
            is_over = threading.Event()

            def cancel() -> None:
                while not is_over.wait(0.02):  # one that comes before the query hits nothing
                    connection.cancel_safe()

            canceling = threading.Thread(target=cancel)
            canceling.start()
            try:
                cursor.execute("SELECT pg_sleep(60)")
            except psycopg.errors.QueryCanceled:
                return "cancelled"
            finally:
                is_over.set()
                canceling.join()
        return "slept"

    tls = pool_tls(ca, ClientTlsMode.REQUIRE)
    async with door_on(a_target(login_server.port), authentication=Authentication(users=SECRETS), tls=tls) as rig:
        assert await asyncio.to_thread(sleep, rig.port) == "cancelled"


@pytest.mark.parametrize("user", list(SECRETS))
@pytest.mark.parametrize("direct", [False, True], ids=["asked", "direct"])
async def test_asyncpg(login_server: Server, ca: trustme.CA, user: str, direct: bool) -> None:
    rules = Authentication(users=SECRETS)
    async with door_on(a_target(login_server.port), authentication=rules, tls=pool_tls(ca)) as rig:
        connection = await asyncpg.connect(
            host=HOST,
            port=rig.port,
            user=user,
            password=PASSWORD,
            database="postgres",
            ssl=client_context(ca),
            direct_tls=direct,
        )
        try:
            assert await connection.fetchval("SELECT $1::int + 1", 41) == 42
        finally:
            await connection.close()
