"""LISTEN and NOTIFY through the pool, where one connection listens for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.session.channels import Channels
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.parse_backend import parse_backend
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.pool.rig import RawSession
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")


async def _heard(client: RawSession, count: int) -> list[tuple[bytes, bytes]]:
    """Return so many notifications, asking nothing of the server."""
    async with asyncio.timeout(LIMIT_S):
        while len(client.notifications) < count:
            client.send(m.Sync())
            await client.until_ready()
    found, client.notifications = client.notifications, []
    return found


async def test_who_listens_needs_no_connection_of_its_own(postgres_server: Server) -> None:
    async with (
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
        session(rig.port) as three,
    ):
        await one.query("LISTEN news")
        await two.query("LISTEN news")
        await two.query('LISTEN "Übersee"')
        assert not rig.pins
        assert not rig.in_use()
        for number in range(20):
            await three.query(f"NOTIFY news, '{number}'")
        await three.query("SELECT pg_notify('Übersee', 'ä')")
        wanted = [(b"news", b"%d" % number) for number in range(20)]
        assert await _heard(one, 20) == wanted
        assert await _heard(two, 21) == [*wanted, ("Übersee".encode(), "ä".encode())]
        assert not three.notifications


async def test_nothing_is_missed_that_is_sent_behind_the_answer(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        for number in range(30):
            await one.query(f"LISTEN c{number}")
            await two.query(f"NOTIFY c{number}")
            assert await _heard(one, 1) == [(b"c%d" % number, b"")]
            await one.query(f"UNLISTEN c{number}")


async def test_its_own_notifications_come_in_front_of_ready(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await two.query("LISTEN news")
        for text in ("LISTEN news; NOTIFY news, 'a'", "NOTIFY news, 'b'", "SELECT pg_notify('news', 'c')"):
            await one.query(text)
            assert [payload for _, payload in one.notifications] == [text[-2:].strip("')").encode()[-1:] or b"c"]
            one.notifications.clear()
        await one.query("BEGIN; LISTEN more; NOTIFY more, 'd'; NOTIFY news, 'e'")
        assert not one.notifications
        await one.query("COMMIT")
        assert sorted(one.notifications) == [(b"more", b"d"), (b"news", b"e")]
        assert [payload for _, payload in await _heard(two, 4)] == [b"a", b"b", b"c", b"e"]
        assert not rig.pins


async def test_the_process_id_of_a_notification_is_what_its_sender_was_told(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=1) as rig, session(rig.port) as one:
        await one.query("LISTEN news")
        one.send(m.Query(b"NOTIFY news"))
        async with asyncio.timeout(LIMIT_S):
            while not any(frame.raw[:1] == b"Z" for frame in one._waiting):
                await one._read()
        found = [parse_backend(frame.type, frame.payload) for frame in one._waiting if frame.raw[:1] == b"A"]
        assert [each.process_id for each in found if isinstance(each, m.NotificationResponse)] == [one.key.process_id]
        await one.until_ready()


async def test_a_listen_counts_when_its_transaction_does(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        for text in (
            "BEGIN; LISTEN a; ROLLBACK",
            "BEGIN",
            "LISTEN b",
            "SELECT 1/0",
            "ROLLBACK",
            "LISTEN c; SELECT 1/0",
        ):
            await one.query(text)
        await one.query("BEGIN; LISTEN d; SAVEPOINT s; LISTEN e; ROLLBACK TO s; LISTEN f; COMMIT")
        assert await one.value("SELECT string_agg(c, ',' ORDER BY c) FROM pg_listening_channels() c") == "d,f"
        for channel in "abcdef":
            await two.query(f"NOTIFY {channel}")
        assert await _heard(one, 2) == [(b"d", b""), (b"f", b"")]
        await one.query("BEGIN; UNLISTEN d")
        await two.query("NOTIFY d, 'in between'")
        await one.query("ROLLBACK")
        assert await _heard(one, 1) == [(b"d", b"in between")]
        await one.query("BEGIN; UNLISTEN d")
        await two.query("NOTIFY d; NOTIFY f")
        await one.query("COMMIT")
        assert await _heard(one, 1) == [(b"f", b"")]
        await one.query("DISCARD ALL")
        await two.query("NOTIFY f")
        assert await one.value("SELECT count(*) FROM pg_listening_channels()") == "0"
        assert not one.notifications
        assert not rig.in_use()


async def test_within_a_transaction_nothing_is_heard(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("LISTEN news")
        await one.query("BEGIN")
        await two.query("NOTIFY news")
        await two.query("LISTEN other; NOTIFY other")  # the listener has been heard since
        await one.query("SELECT 1")
        assert not one.notifications
        await one.query("COMMIT")
        assert one.notifications == [(b"news", b"")]


async def test_who_does_not_take_its_notifications_is_ended(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("LISTEN news")
        await one.query("BEGIN")
        await two.query("SELECT pg_notify('news', n || repeat('x', 7000)) FROM generate_series(1, 200) n")
        assert b"54000" in (await one.frame()).raw
        with pytest.raises(EOFError):
            await one.frame()
        assert await two.value("SELECT 'untouched'") == "untouched"


async def test_a_lost_listener_ends_who_listens_and_nobody_else(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("LISTEN news")
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = ';'"
        async with session(postgres_server.port) as outside:
            await outside.query(kill)
        frame = await one.frame()
        assert b"08006" in frame.raw
        assert b"Notifications may have been lost" in frame.raw
        assert await two.value("SELECT 'untouched'") == "untouched"
        await two.query("LISTEN news; NOTIFY news")
        assert len(two.notifications) == 1


async def test_code_that_listens_pins(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("DO $$BEGIN EXECUTE 'LISTEN hidden'; END$$")
        await one.query("LISTEN before")
        assert rig.pins == ["LISTEN"]
        assert rig.pool.statistics.pins["LISTEN"] == 1
        assert rig.pool.statistics.probes
        await two.query("NOTIFY before; NOTIFY hidden")
        assert sorted(await _heard(one, 2)) == [(b"before", b""), (b"hidden", b"")]
        await one.query("UNLISTEN *")
        assert not rig.in_use()
        await one.query("LISTEN after")
        await two.query("NOTIFY before; NOTIFY hidden; NOTIFY after")
        assert await _heard(one, 1) == [(b"after", b"")]


async def test_code_that_listens_does_not_pin_who_listens_anyway(postgres_server: Server) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as one, session(rig.port) as two:
        await one.query("LISTEN before")
        await one.query("DO $$BEGIN EXECUTE 'LISTEN hidden'; END$$")
        assert not rig.pins
        await two.query("NOTIFY before; NOTIFY hidden")
        assert sorted(await _heard(one, 2)) == [(b"before", b""), (b"hidden", b"")]


async def test_the_connection_is_closed_when_nobody_listens(postgres_server: Server) -> None:
    listens = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE 'UNLISTEN%' OR query = ';'"
    )
    async with (
        session(postgres_server.port) as outside,
        pool_on(postgres_server.port, size=1) as rig,
        session(rig.port) as two,
    ):
        async with session(rig.port) as one:
            await one.query("LISTEN news")
            await two.query("LISTEN news")
            one.abort()
        await two.query("UNLISTEN *")
        await two.query("SELECT 1")
        async with asyncio.timeout(LIMIT_S):
            while await outside.value(listens) != "0":
                pass
        await two.query("LISTEN news; NOTIFY news")
        await outside.query("NOTIFY news")
        assert len(await _heard(two, 2)) == 2


class TestChannels:
    """The part that decides."""

    def test_what_is_asked_meanwhile_becomes_one_query(self) -> None:
        channels = Channels()
        channels.ask(1, frozenset("a"))
        assert channels.next_query() == 'LISTEN "a"'
        channels.ask(2, frozenset("ab"))
        channels.ask(3, frozenset("c"))
        assert channels.hearers("a") == ()
        assert channels.answered(is_done=True) == [1]
        assert channels.hearers("a") == (1,)
        assert channels.next_query() == 'LISTEN "b";LISTEN "c"'
        assert channels.answered(is_done=True) == [2, 3]
        assert set(channels.hearers("a")) == {1, 2}

    def test_a_channel_without_a_hearer_is_left_with_the_next_query(self) -> None:
        channels = Channels()
        for session_id in (1, 2):
            channels.ask(session_id, frozenset({'a"b'}))
        assert channels.next_query() == 'LISTEN "a""b"'
        channels.answered(is_done=True)
        channels.forget(1)
        channels.ask(2, frozenset())
        assert channels.next_query() == 'UNLISTEN "a""b"'
        channels.answered(is_done=True)
        assert channels.is_empty
        assert channels.next_query() == ""

    def test_nothing_new_is_asked_with_an_empty_statement(self) -> None:
        channels = Channels()
        channels.ask(1, frozenset("a"))
        channels.next_query()
        channels.answered(is_done=True)
        channels.ask(1, frozenset("a"))
        assert channels.next_query() == ";"

    def test_what_failed_is_not_listened_to(self) -> None:
        channels = Channels()
        channels.ask(1, frozenset("a"))
        channels.next_query()
        assert channels.answered(is_done=False) == [1]
        assert channels.hearers("a") == ()
        channels.ask(2, frozenset("a"))
        assert channels.next_query() == 'LISTEN "a"'
