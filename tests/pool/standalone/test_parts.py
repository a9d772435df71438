"""The small parts of ``longshore pool``: figures, secrets on their way, cancel links, systemd, the log."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.cli.pool_log import json_of_event, line_of_event
from longshore.net.channel import Channel
from longshore.pool.inner_session import inner_query
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target
from longshore.pool.slots.model import Rules
from longshore.pool.standalone import events, link, watch
from longshore.pool.standalone.checking import Answer, crowded
from longshore.pool.standalone.control_path import default_control
from longshore.pool.standalone.figures import Totals, figures, totals
from longshore.pool.standalone.gates import Gates
from longshore.pool.standalone.gates import given as given_sockets
from longshore.pool.standalone.link import CancelLink, is_same_account
from longshore.pool.standalone.listen import parse_listen
from longshore.pool.standalone.listeners import ListenFailed, open_all, open_unix
from longshore.pool.standalone.model import PoolSettings
from longshore.pool.standalone.notify import notify, sockets_of_systemd
from longshore.pool.standalone.packed_secret import pack_secret, unpack_secret
from longshore.pool.standalone.predecessor import Predecessor, TakeOverFailed
from longshore.pool.statistics import Statistics
from longshore.proto.postgres.auth import Md5Hash, PlainPassword
from longshore.proto.postgres.scram import ScramKeys
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.pool.standalone.process import PoolProcess

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRETS = st.one_of(
    st.none(),
    st.builds(PlainPassword, st.binary()),
    st.builds(Md5Hash, st.binary()),
    st.builds(ScramKeys, st.binary(), st.integers(1, 10**6), st.binary(), st.binary()),
)


@given(SECRETS)
def test_a_secret_arrives_as_it_was(secret: PlainPassword | Md5Hash | ScramKeys | None) -> None:
    assert unpack_secret(pack_secret(secret)) == secret


@pytest.mark.parametrize("wrong", [("plain",), ("plain", "xy"), ("other", "00"), ("scram", "00", "x", "", "")])
def test_what_is_no_secret_is_refused(wrong: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack_secret(wrong)


def test_figures_are_those_of_the_time_between() -> None:
    first = Statistics(transactions=100, queries=200, client_bytes=1000, server_bytes=2000, waited=1, wait_s=1.0)
    more = Statistics(transactions=20, queries=40, waited=3, wait_s=0.5, cache=Counter(hit=2, stale=1, miss=9))
    before, now = totals([first]), totals([first, more])
    found = figures(before, now, 10.0, clients=3, servers=2, waiting=1, pinned=0)
    assert (found.transactions_per_s, found.queries_per_s, found.cache_hits) == (2.0, 4.0, 3)
    assert found.wait_ms == pytest.approx(166.667)
    assert "2 transactions/s, 4 queries/s, 3 cached" in str(found)
    assert figures(Totals(), Totals(), 1.0, clients=0, servers=0, waiting=0, pinned=0).wait_ms == 0.0


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a minute short."""
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(watch, "MINUTE_S", 0.002)
    monkeypatch.setattr(watch, "LONG_WAIT_S", 0.001)


@pytest.mark.usefixtures("hasty")
async def test_figures_failed_logins_and_those_who_wait_are_told() -> None:
    port = free_port()  # nobody is there
    rules = Rules(size=1, wait_timeout_s=30)
    database = Database(name="shop", target=Target(host=HOST, port=port, user="u", database="d"), rules=rules)
    pools = Pools([database])
    told: dict[type, events.PoolEvent] = {}
    wanted = {events.Figures, events.ServerLoginFailed, events.SessionsWait}
    is_told = asyncio.Event()

    def sink(event: events.PoolEvent) -> None:
        told.setdefault(type(event), event)
        if wanted <= set(told):
            is_told.set()

    looking = watch.Watch(sink)
    looking.begin(pools)
    pool = pools.find("shop", "u")
    pool.statistics.queries = 3
    task = asyncio.ensure_future(inner_query(pool, "SELECT 1", ()))
    await is_told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    looking.close()
    await pools.aclose()
    failed = told[events.ServerLoginFailed]
    assert str(failed).startswith(f"cannot log in to shop as u: cannot connect to {HOST}:{port}")
    assert "1 session waits for one of the 1 server connections of u@shop" in str(told[events.SessionsWait])


@pytest.mark.usefixtures("hasty")
async def test_a_pin_is_told_once_for_each_reason_and_statement() -> None:
    told: list[str] = []
    looking = watch.Watch(lambda event: told.append(str(event)))
    pools = Pools([Database(name="shop", target=Target(host=HOST, port=1, user="u", database="d"))])
    pool = pools.find("shop", "u")
    for reason, statement in (("lock", "SELECT 1"), ("lock", "SELECT 1"), ("lock", "SELECT 2"), ("temp", "SELECT 1")):
        looking.pinned(pool, 7, reason, statement, "ann")
    assert len(told) == 3
    assert told[0] == "ann@shop client 7 keeps its server connection: lock because of: SELECT 1"
    await pools.aclose()


@pytest.mark.usefixtures("hasty")
async def test_of_pools_that_are_gone_nothing_is_kept() -> None:
    """With the database ``*``, clients choose the names; and a client chooses how long a statement is."""
    told: list[events.PoolEvent] = []
    looking = watch.Watch(told.append)
    pools = Pools([Database(name="*", target=Target(host=HOST, port=free_port(), user="u", database=""))])
    looking.begin(pools)
    pool = pools.find("any", "u")
    looking.pinned(pool, 7, "lock", "SELECT 'x'" * 100_000, "ann")
    assert isinstance(told[0], events.Pinned)
    assert len(told[0].statement) < 2_000
    asking = asyncio.ensure_future(inner_query(pool, "SELECT 1", ()))
    async with asyncio.timeout(20):
        while not any(isinstance(each, events.ServerLoginFailed) for each in told):
            await asyncio.sleep(0.001)
        assert looking.remembered
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while pool.is_busy:
            await asyncio.sleep(0.001)
        pools.drop_unused(0.0)
        while looking.remembered:
            await asyncio.sleep(0.001)
    looking.close()
    await pools.aclose()


def test_events_for_people_and_for_machines() -> None:
    statement = "SELECT 1,\n" + "  2, " * 100
    pinned = events.Pinned("shop", "ann", 7, "advisory lock", statement)
    line = line_of_event(pinned, NOW)
    assert "\n" not in line
    assert len(line) < 300
    assert line.endswith("…")
    found = json.loads(json_of_event(pinned, NOW))
    assert found["time"] == "2026-01-02T03:04:05.000Z"
    assert (found["level"], found["event"], found["statement"]) == ("warning", "pinned", statement)
    evil = events.LoginRefused("a\x1b[31m", "d", "1.2.3.4:5", "28P01", "no")
    assert "\x1b" not in line_of_event(evil, NOW)


def test_pools_that_could_ask_for_too_much_are_found() -> None:
    def answer(name: str, size: int, port: int = 5432) -> Answer:
        target = Target(host="h", port=port, user="u", database="d")
        return Answer(database=Database(name=name, target=target, rules=Rules(size=size)), max_connections=97)

    assert crowded([answer("a", 50), answer("b", 47), answer("c", 97, 5433)]) == []
    (said,) = crowded([answer("a", 50), answer("b", 48)])
    assert said.startswith("the 2 pools at h:5432 may open 98 connections, and the server allows 97")


async def test_cancels_go_over_and_are_answered() -> None:
    one, other = socket.socketpair()
    near, far = Channel(one), Channel(other)
    asked: list[tuple[int, bytes]] = []

    def cancel(pid: int, secret: bytes, on_done: Callable[[], None], link: CancelLink) -> None:
        asked.append((pid, secret))
        if pid == 1:
            on_done()

    def nobody(pid: int, secret: bytes, on_done: Callable[[], None], link: CancelLink) -> None:
        raise AssertionError(pid)

    here, there = CancelLink(near, nobody), CancelLink(far, cancel)
    ended = asyncio.Event()
    near.listen(lambda message, _: void(here.receive(message)), lambda _: ended.set())
    far.listen(lambda message, _: void(there.receive(message)), lambda _: None)
    answered, unanswered = asyncio.Event(), asyncio.Event()
    here.forward(1, b"\x00\xff", answered.set)
    here.forward(2, b"", unanswered.set)
    await answered.wait()
    assert asked == [(1, b"\x00\xff"), (2, b"")]
    assert not unanswered.is_set()
    there.close()
    far.close()
    await ended.wait()
    here.close()  # who still waits is not left waiting
    assert unanswered.is_set()
    late = asyncio.Event()
    here.forward(3, b"", late.set)
    assert late.is_set()
    near.close()


def void(_: object) -> None:
    """Do nothing."""


def test_the_same_account_is_recognized() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert is_same_account(one)


async def test_who_would_hand_over_clients_must_be_of_the_same_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens at the path says who the clients are: in a folder of all, that could be anybody."""
    path = tmp_path / "control.sock"
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(link, "_ROOT", 4712)
    with open_unix(path, 0o666), pytest.raises(TakeOverFailed, match="is another account's; set 'control'"):
        await Predecessor.meet(path, cast("PoolProcess", None))


def test_a_unix_socket_of_nobody_is_replaced_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = open_unix(path, 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ListenFailed, match="another process listens there"):
        open_unix(path, 0o600)
    first.close()
    open_unix(path, 0o666).close()
    assert path.stat().st_mode & 0o777 == 0o666
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenFailed, match="no socket stands there"):
        open_unix(tmp_path / "file", 0o600)
    with pytest.raises(ListenFailed, match="No such file"):
        open_unix(tmp_path / "none" / "s", 0o600)


def test_a_place_that_cannot_be_had(tmp_path: Path) -> None:
    (taken,) = open_all(parse_listen("127.0.0.1:0"))
    with taken:
        port = taken.getsockname()[1]
        gates = Gates()
        places = [parse_listen(f"unix:{tmp_path}/s"), parse_listen(f"127.0.0.1:{port}")]
        with pytest.raises(ListenFailed, match="another process listens there"):
            gates.open(places)
        assert gates.by_place() == {}
    with pytest.raises(ListenFailed, match="no such address"):
        open_all(parse_listen("192.0.2.1:6432"))


def test_a_socket_that_was_given_must_be_named() -> None:
    (sock,) = open_all(parse_listen("127.0.0.1:0"))
    port = sock.getsockname()[1]
    assert given_sockets([parse_listen(f"127.0.0.1:{port}")], [sock]) == {f"127.0.0.1:{port}": [sock]}
    with pytest.raises(ListenFailed, match="'listen' does not name"):
        given_sockets([parse_listen("127.0.0.1:1")], [sock])
    assert sock.fileno() == -1


def test_systemd_is_told_only_where_it_is(tmp_path: Path) -> None:
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notify("READY=1", {"NOTIFY_SOCKET": "relative"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "s")})
        assert sock.recv(100) == b"READY=1"


def test_sockets_for_another_process_are_not_ours() -> None:
    variables = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDNAMES": "x", "OTHER": "y"}
    assert sockets_of_systemd(variables) == []
    assert variables == {"OTHER": "y"}


def test_the_control_socket_has_a_place_of_its_own(tmp_path: Path) -> None:
    def path_of(name: str) -> Path | None:
        settings = PoolSettings(databases=(), file=tmp_path / name)
        return default_control(settings, {"XDG_RUNTIME_DIR": str(tmp_path)})

    first = path_of("a.toml")
    assert first is not None
    assert first == path_of("a.toml")
    assert first != path_of("b.toml")
    assert first.parent.stat().st_mode & 0o777 == 0o700
    first.parent.chmod(0o755)
    assert path_of("a.toml") is None  # others could put something there
