"""Counters with one writer each, read by everyone: never older than what was confirmed before the read began.

Each session increments its own counter in its own way (a statement, a block, a function, COPY, a pipeline), and reads
those of all by several texts, through a view and by a join; by some that the cache may answer and some that it may not.
What a read may return: at least what its writer had been told when the read was sent, at most what had been sent when
it was answered. That covers a session's own writes.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from longshore.pool.cache.lane_pass import LanePass
from longshore.proto.postgres import messages as m
from tests.pool.cache.rig import CacheRig, cached_pool, session
from tests.pool.cache.test_redis import redis_pool
from tests.pool.cache.test_writes import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.framing import Frame
    from tests.pool.rig import RawSession
    from tests.server_process import Server

SESSIONS = 6
STEPS = 60
TABLES = "abcdef"


class Counters:
    """What was sent and what was confirmed, by counter."""

    def __init__(self) -> None:
        self.sent = [0] * SESSIONS
        self.confirmed = [0] * SESSIONS


class Player:
    """One session."""

    def __init__(self, number: int, client: RawSession, counters: Counters, seed: int) -> None:
        self._number = number
        self._client = client
        self._counters = counters
        self._dice = random.Random(seed * 1000 + number)
        self._has_prepared = False

    async def play(self) -> None:
        """Write and read."""
        for _ in range(STEPS):
            if self._dice.random() < 0.3:
                await self._write()
            else:
                await self._read()

    async def _write(self) -> None:
        counters, number = self._counters, self._number
        counters.sent[number] += 1
        value, table = counters.sent[number], TABLES[number]
        update = f"UPDATE {table} SET v = {value}"
        match self._dice.randrange(8):
            case 0 | 6:
                await self._client.query(update)
            case 1:
                for text in ("BEGIN", update, "SAVEPOINT s", "UPDATE a SET v = v WHERE false", "COMMIT"):
                    await self._client.query(text)
            case 2:
                await self._client.query(f"SELECT set_{table}({value})")
            case 3:
                await self._client.query(f"BEGIN; TRUNCATE {table}; INSERT INTO {table} VALUES ({value}); COMMIT")
            case 4:
                bind = m.Bind(b"", b"", (), (b"%d" % value,), ())
                self._client.send(m.Parse(b"", f"UPDATE {table} SET v = $1".encode(), (23,)), bind)
                self._client.send(m.Execute(b"", 0), m.Sync())
                await self._client.until_ready()
            case 5:
                # The read behind it in the same pipeline must see it too.
                self._client.send(m.Query(update.encode()), m.Query(f"SELECT v FROM {table}".encode()))
                frames = await self._client.until_ready(2)
                assert [int(each.raw[11:]) for each in frames if each.type == ord("D")] == [value]
            case 7:
                if not self._has_prepared:
                    self._client.send(m.Parse(b"w", f"UPDATE {table} SET v = $1".encode(), (23,)), m.Sync())
                    await self._client.until_ready()
                    self._has_prepared = True
                self._client.send(m.Bind(b"", b"w", (), (b"%d" % value,), ()), m.Execute(b"", 0), m.Sync())
                await self._client.until_ready()
        counters.confirmed[number] = value

    async def _read(self) -> None:
        floor = list(self._counters.confirmed)
        which = self._dice.randrange(SESSIONS)
        table = TABLES[which]
        match self._dice.randrange(5):
            case 4:
                frames = await self._client.query(f"SELECT v, random() FROM {table}")
                found = {which: int(self._row(frames)[0])}
            case 0:
                frames = await self._client.query(f"SELECT v FROM {table}")
                found = {which: int(self._row(frames)[0])}
            case 1:
                self._client.send(m.Parse(b"", f"SELECT v FROM {table} WHERE v >= $1".encode(), (23,)))
                self._client.send(m.Bind(b"", b"", (), (b"0",), ()), m.Execute(b"", 0), m.Sync())
                found = {which: int(self._row(await self._client.until_ready())[0])}
            case 2:
                frames = await self._client.query("SELECT * FROM all_counters")
                found = dict(enumerate(map(int, self._row(frames))))
            case _:
                frames = await self._client.query(f"SELECT (SELECT v FROM {table}), a.v FROM a")
                both = self._row(frames)
                found = {0: int(both[1]), which: int(both[0])}
        for counter, value in found.items():
            assert floor[counter] <= value <= self._counters.sent[counter]

    @staticmethod
    def _row(frames: list[Frame]) -> list[bytes]:
        (raw,) = (frame.raw for frame in frames if frame.type == ord("D"))
        values, position = [], 7
        while position < len(raw):
            end = position + 4 + int.from_bytes(raw[position : position + 4], "big")
            values.append(raw[position + 4 : end])
            position = end
        return values


def setup() -> str:
    """Return the texts that make tables, functions and a view."""
    texts = [f"DROP VIEW IF EXISTS all_counters; DROP TABLE IF EXISTS {', '.join(TABLES)} CASCADE"]
    for table in TABLES:
        texts.append(f"CREATE TABLE {table} (v int); INSERT INTO {table} VALUES (0)")
        body = f"BEGIN UPDATE public.{table} SET v = n; END"
        texts.append(f"CREATE OR REPLACE FUNCTION set_{table}(n int) RETURNS void LANGUAGE plpgsql AS '{body}'")
    columns = ", ".join(f"{table}.v AS {table}" for table in TABLES)
    texts.append(f"CREATE VIEW all_counters AS SELECT {columns} FROM {', '.join(TABLES)}")
    return "; ".join(texts)


@asynccontextmanager
async def ready(rigs: list[CacheRig]) -> AsyncIterator[list[RawSession]]:
    """Sessions of all pools in turn, once the catalogue is known."""
    async with AsyncExitStack() as stack:
        maker = await stack.enter_async_context(session(rigs[0].port))
        await maker.query(setup())
        clients = [
            await stack.enter_async_context(session(rigs[number % len(rigs)].port)) for number in range(SESSIONS)
        ]
        for client in clients:
            await client.query("SELECT v FROM a")
        for rig in rigs:
            rig.pool.shared.epoch += 1  # what was made through another pool
            await until(lambda rig=rig: rig.pool.shared.known_catalogue() is not None)  # type: ignore[misc]
            rig.take_counts()
        yield clients


class LaneCount:
    """How many statements the fast lane has finished, and how many of them were writes."""

    def __init__(self) -> None:
        self.reads = self.writes = 0
        self._finish = LanePass.finish

    def __call__(self, lane: LanePass, memory: ServerMemory) -> None:
        if memory.writes is None:
            self.reads += 1
        else:
            self.writes += 1
        self._finish(lane, memory)


async def play(rigs: list[CacheRig], seed: int) -> LaneCount:
    """Let everybody play at the same time."""
    count = LaneCount()
    async with ready(rigs) as clients:
        counters = Counters()
        players = [Player(number, client, counters, seed) for number, client in enumerate(clients)]
        finish = patch.object(LanePass, "finish", autospec=True, side_effect=count)
        with finish:
            async with asyncio.TaskGroup() as group:
                for player in players:
                    group.create_task(player.play())
        served = sum(rig.pool.statistics.cache[reason] for rig in rigs for reason in ("hit", "shared"))
        assert served, "nothing came from the cache, so nothing was tried"
    assert count.reads > SESSIONS, "the fast lane took next to nothing"
    return count


@pytest.mark.needs("postgres")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(3))
async def test_no_read_is_older_than_a_confirmed_write(postgres_server: Server, seed: int) -> None:
    async with cached_pool(postgres_server.port, size=3, knows_tables=False) as rig:
        count = await play([rig], seed)
        assert count.writes > SESSIONS, "no writes went through the fast lane"


@pytest.mark.needs("postgres", "redis-server")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(2))
async def test_nor_on_another_machine(postgres_server: Server, redis_server: Server, seed: int) -> None:
    async with (
        redis_pool(postgres_server.port, redis_server.port, knows_tables=False) as one,
        redis_pool(postgres_server.port, redis_server.port, knows_tables=False) as two,
    ):
        count = await play([one, two], seed)
        assert not count.writes, "the answer to a write waits for the other machine"
