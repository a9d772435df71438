"""Reads through a pool with a cache: what is answered from it, and that the client cannot tell."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.pool.cache.model import CacheRules
from longshore.proto.postgres import messages as m
from tests.pool.cache.rig import CacheRig, cached_pool, rows, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.proto.postgres.framing import Frame
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

READ = b"SELECT v FROM a WHERE v > $1"


@asynccontextmanager
async def pool_with_a(server: Server, **options: object) -> AsyncIterator[CacheRig]:
    """A pool in front of a database where table ``a`` has one row, 1."""
    async with cached_pool(server.port, **options) as rig:  # type: ignore[arg-type]
        async with session(rig.port) as maker:
            await maker.query("DROP TABLE IF EXISTS a, b CASCADE; CREATE TABLE a (v int); INSERT INTO a VALUES (1)")
        rig.take_counts()
        yield rig


def types(frames: list[Frame]) -> str:
    """Return the types of messages."""
    return "".join(chr(frame.type) for frame in frames)


async def test_the_second_read_is_a_hit_and_a_write_ends_it(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        assert await rows(one, "SELECT v FROM a") == [b"1"]
        assert await rows(two, "SELECT v FROM a") == [b"1"]
        assert rig.take_counts() == {"miss": 1, "hit": 1}
        await one.query("UPDATE a SET v = 2")
        assert await rows(two, "SELECT v FROM a") == [b"2"]
        assert await rows(one, "SELECT v FROM a /* traceparent=1 */") == [b"2"]
        assert rig.take_counts() == {"miss": 1, "hit": 1}


@pytest.mark.parametrize(
    ("batch", "answer"),
    [
        ((m.Parse(b"", READ, (23,)), m.Bind(b"", b"", (), (b"0",), ()), m.Execute(b"", 0), m.Sync()), "12DCZ"),
        (
            (
                m.Parse(b"", READ, (23,)),
                m.Bind(b"", b"", (), (b"0",), ()),
                m.Describe(b"P", b""),
                m.Execute(b"", 0),
                m.Sync(),
            ),
            "12TDCZ",
        ),
        (
            (
                m.Parse(b"", READ, ()),
                m.Describe(b"S", b""),
                m.Bind(b"", b"", (), (b"0",), (1,)),
                m.Execute(b"", 0),
                m.Sync(),
            ),
            "1tT2DCZ",
        ),
    ],
)
async def test_extended_reads_get_the_same_bytes_from_the_cache(
    postgres_server: Server, batch: tuple[m.FrontendMessage, ...], answer: str
) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        one.send(*batch)
        asked = await one.until_ready()
        two.send(*batch)
        served = await two.until_ready()
        assert rig.take_counts() == {"miss": 1, "hit": 1}
        assert types(asked) == answer
        assert [frame.raw for frame in served] == [frame.raw for frame in asked]
        # The statement that was made without the server is there when the server is needed.
        two.send(m.Bind(b"", b"", (), (b"5",), ()), m.Execute(b"", 0), m.Sync())
        assert types(await two.until_ready()) == "2CZ"


async def test_a_named_statement_made_by_the_cache_is_usable(postgres_server: Server) -> None:
    batch = (m.Parse(b"s", READ, (23,)), m.Bind(b"", b"s", (), (b"0",), ()), m.Execute(b"", 0), m.Sync())
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        for client in (one, two):
            client.send(*batch)
            await client.until_ready()
        assert rig.take_counts() == {"miss": 1, "hit": 1}
        two.send(m.Bind(b"", b"s", (), (b"0",), ()), m.Execute(b"", 0), m.Sync())
        assert types(await two.until_ready()) == "2DCZ"
        two.send(*batch)
        (error, ready) = await two.until_ready()
        assert b"42P05" in error.raw
        assert rig.take_counts() == {"hit": 1, "partial": 1}
        assert ready.raw[5:] == b"I"


async def test_parse_and_describe_alone_are_answered_from_what_is_known(postgres_server: Server) -> None:
    prepare = (m.Parse(b"s", READ, ()), m.Describe(b"S", b"s"), m.Flush())
    run = (m.Bind(b"", b"s", (), (b"0",), ()), m.Execute(b"", 0), m.Sync())
    async with pool_with_a(postgres_server) as rig:
        heard = []
        for _ in range(3):
            async with session(rig.port) as client:
                client.send(*prepare)
                first = [await client.frame() for _ in range(3)]
                client.send(*run)
                heard.append([frame.raw for frame in (*first, *await client.until_ready())])
        assert heard[0] == heard[1] == heard[2]
        # The first runs in the implicit transaction of its Parse.
        assert rig.take_counts() == {"partial": 1, "miss": 1, "hit": 1}


async def test_what_was_told_of_columns_holds_after_a_change(postgres_server: Server) -> None:
    prepare = (m.Parse(b"s", b"SELECT * FROM a", ()), m.Describe(b"S", b"s"), m.Sync())
    run = (m.Bind(b"", b"s", (), (), ()), m.Execute(b"", 0), m.Sync())
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        for client in (one, two):
            client.send(*prepare)
            assert types(await client.until_ready()) == "1tTZ"
            client.send(*run)
            await client.until_ready()
        assert rig.take_counts() == {"miss": 1, "hit": 1}
        await one.query("ALTER TABLE a ADD w text DEFAULT 'x'")
        two.send(*run)
        error, *_ = await two.until_ready()
        assert b"cached plan must not change result type" in error.raw


async def test_a_row_limit_is_part_of_the_question(postgres_server: Server) -> None:
    def batch(limit: int) -> tuple[m.FrontendMessage, ...]:
        return (m.Parse(b"", READ, (23,)), m.Bind(b"", b"", (), (b"0",), ()), m.Execute(b"", limit), m.Sync())

    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        await client.query("INSERT INTO a VALUES (2), (3)")
        for _ in range(2):
            for limit, answer in ((1, "12DsZ"), (2, "12DDsZ"), (0, "12DDDCZ"), (9, "12DDDCZ")):
                client.send(*batch(limit))
                assert types(await client.until_ready()) == answer
        assert rig.take_counts() == {"miss": 4, "hit": 4}


async def test_a_pipeline_is_answered_in_its_order(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        await rows(client, "SELECT v FROM a")
        await rows(client, "SELECT v + 1 FROM a")
        rig.take_counts()
        client.send(
            m.Query(b"SELECT v FROM a"),
            m.Query(b"SELECT v + 1 FROM a"),
            m.Query(b"SELECT v + 2 FROM a"),
            m.Query(b"SELECT v FROM a"),
        )
        frames = await client.until_ready(4)
        assert [frame.raw[11:] for frame in frames if frame.type == ord("D")] == [b"1", b"2", b"3", b"1"]
        counts = rig.take_counts()
        assert counts["hit"] == 2
        assert counts["miss"] == 1


async def test_a_pipelined_read_sees_the_write_before_it(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        for value in range(2, 20):
            await rows(client, "SELECT v FROM a")
            client.send(m.Query(b"UPDATE a SET v = %d" % value), m.Query(b"SELECT v FROM a"))
            frames = await client.until_ready(2)
            assert [frame.raw[11:] for frame in frames if frame.type == ord("D")] == [b"%d" % value]
        assert "hit" not in rig.take_counts()


async def test_never_in_a_transaction_nor_pinned(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client, session(rig.port) as other:
        await rows(other, "SELECT v FROM a")
        rig.take_counts()
        await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert await rows(client, "SELECT v FROM a") == [b"1"]
        await client.query("ROLLBACK")
        assert rig.take_counts() == {"transaction": 1}
        await client.query("CREATE TEMP TABLE a (v int)")
        assert await rows(client, "SELECT v FROM a") == []
        assert rig.take_counts() == {"pinned": 1}
        assert await rows(other, "SELECT v FROM a") == [b"1"]


async def test_settings_are_part_of_the_question(postgres_server: Server) -> None:
    text = "SELECT v, '2020-01-01 00:00+00'::timestamptz FROM a"
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("SET TimeZone = 'UTC'")
        await two.query("SET TimeZone = 'Asia/Tokyo'")
        first, second = await rows(one, text), await rows(two, text)
        assert first != second
        assert (await rows(one, text), await rows(two, text)) == (first, second)
        assert rig.take_counts() == {"miss": 2, "hit": 2}
        await two.query("SET application_name = 'x'")
        assert await rows(two, text) == second
        assert rig.take_counts() == {"hit": 1}


async def test_roles_do_not_share_results(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("DROP ROLE IF EXISTS nobody_at_all; CREATE ROLE nobody_at_all")
        rig.take_counts()
        assert await rows(one, "SELECT v FROM a") == [b"1"]
        await two.query("SET ROLE nobody_at_all")
        error, *_ = await two.query("SELECT v FROM a")
        assert b"42501" in error.raw
        assert rig.take_counts() == {"miss": 2, "failed": 1}
        assert await rows(one, "SELECT v FROM a") == [b"1"]
        await two.query("RESET ROLE")
        await one.query("DROP ROLE nobody_at_all")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT v FROM a, now() n", "volatile"),
        ("SELECT 1", "no table"),
        ("SELECT v FROM unknown_table", "unknown name"),
        ("SELECT v FROM a FOR UPDATE", "locks rows"),
        ("SELECT v FROM a; SELECT v FROM a", "multiple statements"),
        ("SELECT v FROM a WHERE 'now'::timestamptz > '2000-01-01'", "volatile"),
        ("SELECT v FROM a -- longshore: cache=off", "off by comment"),
        ("SELECT v FROM a /* longshore: ttl=0 */", "off by comment"),
        ("SELECT v FROM a WHERE", "unreadable"),
    ],
)
async def test_the_reason_is_told(postgres_server: Server, text: str, reason: str) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        for _ in range(2):
            await client.query(text)
        assert rig.take_counts() == {reason: 2}


async def test_clock_words_in_values_make_a_read_volatile(postgres_server: Server) -> None:
    def batch(value: bytes) -> tuple[m.FrontendMessage, ...]:
        text = b"SELECT v FROM a WHERE $1::text <> ''"
        return (m.Parse(b"", text, ()), m.Bind(b"", b"", (), (value,), ()), m.Execute(b"", 0), m.Sync())

    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        for value in (b"today", b" NOW ", b"10:00 yesterday", b"knowledge"):
            client.send(*batch(value))
            await client.until_ready()
        assert rig.take_counts() == {"volatile": 3, "miss": 1}


async def test_a_session_may_switch_it_off(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        await client.query("SET longshore.cache = off")
        await rows(client, "SELECT v FROM a")
        assert rig.take_counts() == {"off by setting": 1}
        await rows(client, "SELECT v FROM a /* longshore: cache=on */")
        await client.query("SET longshore.cache = on")
        await rows(client, "SELECT v FROM a")
        assert rig.take_counts() == {"miss": 1, "hit": 1}


async def test_on_request_keeps_only_what_asks_for_it(postgres_server: Server) -> None:
    rules = CacheRules(is_on_request=True)
    async with pool_with_a(postgres_server, rules=rules) as rig, session(rig.port) as client:
        await rows(client, "SELECT v FROM a")
        await rows(client, "/* longshore: cache=on */ SELECT v FROM a")
        await rows(client, "/* longshore: cache=on */ SELECT v FROM a")
        assert rig.take_counts() == {"disabled": 1, "miss": 1, "hit": 1}


async def test_long_results_pass_and_are_not_waited_for(postgres_server: Server) -> None:
    rules = CacheRules(is_enabled=True, max_result_bytes=1000)
    text = "SELECT v, repeat('x', 5000) FROM a"
    async with pool_with_a(postgres_server, rules=rules) as rig, session(rig.port) as client:
        first = await client.query(text)
        assert [each.raw for each in await client.query(text)] == [each.raw for each in first]
        assert rig.take_counts() == {"miss": 1, "oversized result": 2}
        assert rig.pools.read_cache.report().entries == 0


async def test_results_with_errors_or_notices_are_not_kept(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        for _ in range(2):
            await client.query("SELECT 1 / (v - 1) FROM a")
        assert rig.take_counts() == {"miss": 2, "failed": 2}


async def test_memory_is_bounded(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server, max_bytes=50_000) as rig, session(rig.port) as client:
        for number in range(100):
            await rows(client, f"SELECT repeat('x', 1000) FROM a WHERE v > -{number}")
        report = rig.pools.read_cache.report()
        assert report.used_bytes is not None
        assert 0 < report.used_bytes <= 50_000
        assert report.evictions > 50
        await rows(client, "SELECT repeat('x', 1000) FROM a WHERE v > -99")
        assert rig.take_counts() == {"miss": 100, "hit": 1}


async def test_the_report_tells_what_became_of_each_text(postgres_server: Server) -> None:
    async with pool_with_a(postgres_server) as rig, session(rig.port) as client:
        for number in range(4):
            await rows(client, f"SELECT v FROM a /* {number} longshore */ -- longshore: swr=x")
        (row,) = (each for each in rig.pools.read_cache.report().statements if each.text == "SELECT v FROM a")
        assert row.reasons == {"miss": 1, "hit": 3}
        assert row.hit_ratio == 0.75
        assert row.hit_bytes > 0
        assert row.ignored.startswith("swr=x: swr is a whole number of seconds")
