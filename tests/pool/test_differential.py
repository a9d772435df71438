"""N clients over M server connections hear what N clients hear that have one each."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.parse_backend import parse_backend
from tests.pool.plays import PLAYS
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from longshore.proto.postgres.framing import Frame
    from tests.pool.plays import Play
    from tests.pool.rig import RawSession
    from tests.server_process import Server

CLIENTS, SERVERS = 4, 3
DATABASES = ("directly", "pooled")
_STEPS = st.lists(st.tuples(st.integers(0, CLIENTS - 1), st.sampled_from(PLAYS)), min_size=5, max_size=30)
_MOVES = st.frozensets(st.integers(0, 29), max_size=10)

# A statement that has changed, and a wrong number of values for it: which is told first.
_EITHER = ("08P01", "0A000")
# The schema of temporary objects has a number of the server connection.
_OWN_SCHEMA = re.compile(rb"\bpg_temp_\d+")
# It is the schema that is missing, as long as nobody has ever made a temporary object on a server connection.
_NO_TEMPORARY = re.compile(r'(schema|\w+) "?pg_temp\b.* does not exist')
# Where in the server's source; and where in the text, of a lock that ran out in a Parse of the pool.
_SOURCE = (b"F", b"L", b"R")
_LOCKED = "55P03"
# What stands still in a lock fails soon, on both sides.
SCENE = """
ROLLBACK; DROP SCHEMA IF EXISTS one, two, public CASCADE; CREATE SCHEMA public; CREATE SCHEMA one; CREATE SCHEMA two;
GRANT ALL ON SCHEMA public, one, two TO public;
CREATE TABLE public.shared (n int); CREATE TABLE one.shared (n int, one text); INSERT INTO one.shared VALUES (1, 'one');
GRANT ALL ON ALL TABLES IN SCHEMA public TO public;
CREATE SEQUENCE numbers; GRANT ALL ON numbers TO public;
CREATE FUNCTION public.change_setting() RETURNS text LANGUAGE sql AS $$SELECT set_config('my.own', 'd', false)$$;
CREATE FUNCTION public.lock_eight() RETURNS bool LANGUAGE sql AS $$SELECT pg_try_advisory_lock(8)$$;
"""


def _settings(max_examples: int) -> settings:
    return settings(max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.needs("postgres")
@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
@_settings(40)
@given(steps=_STEPS, moves=_MOVES)
async def test_sessions_over_few_connections_are_sessions_of_their_own(
    postgres_server: Server, steps: list[tuple[int, Play]], moves: frozenset[int]
) -> None:
    """Some of them are moved to another process meanwhile."""
    await _play(postgres_server, steps, moves)


@pytest.mark.slow
@pytest.mark.needs("postgres")
@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(3600)
@_settings(int(os.environ.get("LONGSHORE_EXAMPLES", "150")))
@given(steps=_STEPS, moves=_MOVES)
async def test_many_sessions_over_few_connections(
    postgres_server: Server, steps: list[tuple[int, Play]], moves: frozenset[int]
) -> None:
    await _play(postgres_server, steps, moves)


async def _play(postgres_server: Server, steps: list[tuple[int, Play]], moves: frozenset[int]) -> None:
    await _make_databases(postgres_server.port)
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(pool_on(postgres_server.port, size=SERVERS, database=DATABASES[1]))
        direct = [await stack.enter_async_context(session(postgres_server.port, DATABASES[0])) for _ in range(CLIENTS)]
        pooled = [await stack.enter_async_context(session(rig.port, DATABASES[1])) for _ in range(CLIENTS)]
        for position, (number, play) in enumerate(steps):
            if not rig.has_server(number) and rig.in_use() >= SERVERS:
                continue  # it would wait for the others, who wait for us
            is_moved = position in moves and rig.move(number)
            note(f"{number}: {play.name}{' (moved)' if is_moved else ''}")
            expected = await _perform(direct[number], play)
            found = await _perform(pooled[number], play)
            assert found == expected, f"client {number}: {play.name}"
            assert pooled[number].parameters == direct[number].parameters
        await _same_notifications(direct, pooled)


async def _make_databases(port: int) -> None:
    async with session(port) as admin:
        await admin.query("CREATE ROLE reader")
        for name in DATABASES:
            await admin.query(f"CREATE DATABASE {name}")
            await admin.query(f"ALTER DATABASE {name} SET lock_timeout = '50ms'")
    for name in DATABASES:
        async with session(port, name) as owner:
            await _alone(owner)
            frames = await owner.query(SCENE)
            assert not [each for each in frames if each.raw[:1] == b"E"], frames


async def _alone(owner: RawSession) -> None:
    """Wait until the processes of the last example are gone."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with asyncio.timeout(LIMIT_S):
        while await owner.value(others) != "0":
            pass


async def _perform(client: RawSession, play: Play) -> list[object]:
    client.send(play.sent)
    answer = asyncio.ensure_future(client.until_ready(play.syncs))
    while play.is_canceled and not answer.done():
        await client.cancel()
        await asyncio.wait([answer], timeout=0.01)
    # Whether the columns of what is cancelled come first depends on when the server sent what it had.
    return [_comparable(frame) for frame in await answer if not (play.is_canceled and frame.raw[:1] == b"T")]


def _comparable(frame: Frame) -> object:
    message = parse_backend(frame.type, frame.payload)
    if isinstance(message, (m.ErrorResponse, m.NoticeResponse)):
        if _NO_TEMPORARY.search(message.message):
            return "nothing like that in pg_temp"
        # Where in the server's source, and where in a text that we may have sent in another form.
        if message.sqlstate in _EITHER:
            return "one of two things wrong"
        unlike = _SOURCE + ((b"P",) if message.sqlstate == _LOCKED else ())
        told = [(key, _OWN_SCHEMA.sub(b"pg_temp", value)) for key, value in message.fields if key not in unlike]
        return type(message).__name__, told
    if isinstance(message, m.RowDescription):
        return [(each.name, each.type_oid, each.type_modifier, each.format) for each in message.fields]
    return frame.raw


async def _same_notifications(direct: list[RawSession], pooled: list[RawSession]) -> None:
    """A notification comes when it comes: ask until both have heard the same."""
    for one, other in zip(direct, pooled, strict=True):
        if one.status != m_idle or other.status != m_idle:
            continue
        async with asyncio.timeout(LIMIT_S):
            while one.notifications != other.notifications:
                await _hear(one)
                await _hear(other)


async def _hear(client: RawSession) -> None:
    client.send(m.Sync())
    await client.until_ready()


m_idle = ord("I")
