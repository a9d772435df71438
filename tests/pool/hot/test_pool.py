"""The pool in its own loop, with a real database: short and long answers, batches, COPY, and clients that leave."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform != "linux":
    pytest.skip("the hot loop needs epoll", allow_module_level=True)

from longshore.pool.hot import HotEventLoop
from longshore.proto.postgres import messages as m
from tests.loops import open_sockets
from tests.pool.rig import pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

CLIENTS, SERVERS = 8, 2
LONG = 3_000_000


async def _use(client: RawSession, number: int) -> None:
    """Do some of everything; every answer has to be this client's own."""
    for turn in range(20):
        assert await client.value(f"SELECT {number} + {turn}") == str(number + turn)
    statement = m.Parse(b"mine", f"SELECT {number} || $1::text".encode(), ())
    client.send(statement, m.Sync())
    await client.until_ready()
    for turn in range(20):
        text = b"%d" % turn
        client.send(m.Bind(b"", b"mine", (), (text,), ()), m.Execute(b"", 0), m.Sync())
        rows = [frame.raw for frame in await client.until_ready() if frame.raw[:1] == b"D"]
        assert [row.endswith(b"%d%d" % (number, turn)) for row in rows] == [True]
    assert await client.value(f"SELECT repeat('{number}', {LONG})") == str(number) * LONG
    await client.query("BEGIN")
    await client.query(f"SET LOCAL work_mem = '{number + 1}MB'")
    assert await client.value("SHOW work_mem") == f"{number + 1}MB"
    await client.query("COMMIT")


@pytest.mark.needs("postgres")
def test_many_clients_over_few_connections(postgres_server: Server) -> None:
    before = open_sockets()

    async def one(port: int, number: int) -> None:
        async with session(port) as client:
            await _use(client, number)

    async def main() -> None:
        async with pool_on(postgres_server.port, size=SERVERS) as rig:
            await asyncio.gather(*(one(rig.port, number) for number in range(CLIENTS)))
            counted = rig.pool.statistics
            assert counted.transactions >= CLIENTS * 42
            assert counted.waited > 0

    with asyncio.Runner(loop_factory=HotEventLoop) as runner:
        runner.run(main())
    assert open_sockets() <= before


@pytest.mark.needs("postgres")
def test_a_client_that_goes_in_the_middle_leaves_a_clean_connection(postgres_server: Server) -> None:
    async def main() -> None:
        async with pool_on(postgres_server.port, size=1) as rig:
            async with session(rig.port) as client:
                assert await client.value("SELECT 1") == "1"
                client.send(m.Query(b"SELECT 5 FROM pg_sleep(30)"))
                while not rig.in_use():
                    await asyncio.sleep(0)
            async with session(rig.port) as client:
                assert await client.value("SELECT 2") == "2"

    with asyncio.Runner(loop_factory=HotEventLoop) as runner:
        runner.run(main())
