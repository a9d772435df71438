"""What one worker can make the pool hold, and whose database it gets when something was forgotten."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import asyncpg
import pytest

from longshore.pool.binding import client, service
from longshore.proto.ipc.pool import AddDatabases, DefineDatabase, PooledDatabase, is_handle
from tests.pool.binding.test_service import rig

if TYPE_CHECKING:
    from tests.server_process import Server

FIRST, SECOND, THIRD = (f"longshore_{number:024x}" for number in (1, 2, 3))


def start_message(user: str) -> bytes:
    """Return a StartupMessage."""
    said = f"user\0{user}\0database\0postgres\0\0".encode()
    return struct.pack("!ii", len(said) + 8, 196608) + said


async def test_one_connection_more_than_there_may_be_is_closed(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_CLIENTS", 2)
    async with rig(postgres_server) as it:
        it.add(1)
        it.add(2)
        first, second = await it.connect(1), await it.connect(1)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await it.connect(1)
        other = await it.connect(2)
        await first.close()
        third = await it.connect(1)
        for connection in (second, third, other):
            assert await connection.fetchval("select 1") == 1
            await connection.close()


async def test_the_name_that_was_given_first_is_forgotten_first(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (service, client):
        monkeypatch.setattr(module, "MAX_HANDLES", 2)
    async with rig(postgres_server) as it:
        it.add(1)
        for handle in (FIRST, SECOND, FIRST, THIRD):
            it.define(1, handle, it.url())
        for handle in (FIRST, THIRD):
            connection = await it.connect(1, user=handle)
            assert await connection.fetchval("select 1") == 1
            await connection.close()
        monkeypatch.setattr(client, "_PATIENCE_S", 0.01)
        with pytest.raises(asyncpg.PostgresError, match="not known"):
            await it.connect(1, user=SECOND)


async def test_a_forgotten_name_never_stands_for_the_database_of_the_binding(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of all bindings of a worker are counted together: its door may still know what the service forgot."""
    monkeypatch.setattr(service, "MAX_HANDLES", 1)
    async with rig(postgres_server) as it:
        it.add(1)
        it.define(1, FIRST, it.url(user="tenant_a"))
        it.define(1, SECOND, it.url(user="tenant_b"))
        with pytest.raises(asyncpg.PostgresError, match="not known") as caught:
            await it.connect(1, user=FIRST)
        assert caught.value.sqlstate == "28000"
        assert it.dialer.asked == []


async def test_an_account_may_be_called_like_us(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1, url=it.url(user="longshore_app"))
        with pytest.raises(asyncpg.PostgresError, match='role "longshore_app" does not exist'):
            await it.connect(1, user="longshore_app")
        assert it.dialer.asked[0][3]


@pytest.mark.parametrize(
    ("user", "is_one"),
    [
        (FIRST, True),
        (f"{FIRST}\n", False),
        ("longshore_app", False),
        ("longshore_abc", False),
        ("longshore_" + "0" * 65, False),
        ("", False),
    ],
)
def test_which_user_names_are_those_of_get(user: str, is_one: bool) -> None:
    assert is_handle(user) is is_one


async def test_who_waits_for_its_database_cannot_fill_the_memory(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1)
        mine, its = socket.socketpair()
        with mine:
            mine.setblocking(False)
            it.service.add_client(1, "DB", its)
            mine.send(start_message(FIRST))
            sent, idle_turns = 0, 0
            while idle_turns < 20 and sent < 16 << 20:
                try:
                    sent += mine.send(b"x" * 65536)
                    idle_turns = 0
                except BlockingIOError:
                    idle_turns += 1
                await asyncio.sleep(0)
            assert sent < 4 << 20, "the rest stays with the client"


@pytest.mark.parametrize("handle", ["postgres", "longshore_x", "", FIRST.upper()])
async def test_only_names_of_get_are_defined(postgres_server: Server, handle: str) -> None:
    async with rig(postgres_server) as it:
        it.add(1, origin_connection_limit=1)
        it.define(1, handle, it.url("template1"))
        connection = await it.connect(1)
        assert await connection.fetchval("select current_database()") == "postgres"
        await connection.close()
        assert [asked[3] for asked in it.dialer.asked] == [True]


async def test_what_is_too_long_to_be_a_url_is_refused(postgres_server: Server) -> None:
    async with rig(postgres_server) as it:
        it.add(1)
        it.define(1, FIRST, f"postgres://u:p@h/d?application_name={'x' * 10_000}")
        with pytest.raises(asyncpg.PostgresError, match="longer than"):
            await it.connect(1, user=FIRST)


def test_a_database_that_nobody_declared_is_not_named_through_another_binding() -> None:
    """``define`` for a worker or binding that does not exist says nothing, and breaks nothing."""

    async def play() -> None:
        made = service.BindingService(None)  # type: ignore[arg-type]  # nothing is dialed
        database = PooledDatabase(binding="DB", connection_string="postgres://u:p@h/d")
        made.add(AddDatabases(worker_id=1, worker="w", token="t", databases=(database,)), [])
        for worker_id, binding in ((1, "OTHER"), (2, "DB")):
            made.define(
                worker_id, DefineDatabase(binding=binding, handle=FIRST, connection_string="postgres://u:p@h/d")
            )
        assert len(list(made.pools())) == 1
        await made.aclose()

    asyncio.run(play())
