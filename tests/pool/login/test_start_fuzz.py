"""Whatever a stranger sends, in whatever pieces: an answer or an end, no error of ours, and nothing left behind."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.pool.clients.authentication import Authentication, ClientMethod
from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.clients.tls import ClientTlsMode
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import PlainPassword
from longshore.proto.postgres.constants import PROTOCOL_3_0
from longshore.proto.postgres.serialize import serialize, serialize_startup
from tests.pool.login.doors import Knock, a_target, client_context, door_on, pool_tls
from tests.server_process import HOST

if TYPE_CHECKING:
    import trustme

    from tests.server_process import Server

MAX_KEPT_BYTES = 64 * 1024 + 256 * 1024
"""The bound of what is kept, and one read of a socket."""


class Wire(asyncio.Transport):
    """A transport without a network: it keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False
        self.is_paused = False
        self.protocol: Any = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_closed:
            self.written += data

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self._lost)

    abort = close

    def _lost(self) -> None:
        self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.is_closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (HOST, 1) if name == "peername" else default


def _begin(pools: Pools, rules: Authentication) -> tuple[Wire, ClientStart]:
    wire, start = Wire(), ClientStart(ClientDoor(pools=pools, authentication=rules))
    wire.protocol = start
    start.connection_made(wire)
    return wire, start


def _pools() -> Pools:
    return Pools([Database(name="*", target=Target(host=HOST, port=1, user="", database=""))])


RULES = {"scram": PlainPassword(b"secret")}
STARTUP = serialize_startup(m.StartupMessage(((b"user", b"scram"), (b"database", b"d")), PROTOCOL_3_0))
FIRST = serialize(m.SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=abcdef"))
CANCEL = serialize_startup(m.CancelRequest(1, b"1234"))
PIECES = [
    STARTUP,
    FIRST,
    CANCEL,
    serialize_startup(m.SSLRequest()),
    serialize_startup(m.GSSENCRequest()),
    serialize(m.SASLResponse(b"c=biws,r=abcdef,p=AAAA")),
    serialize(m.PasswordMessage(b"secret")),
    serialize(m.Query(b"SELECT 1")),
    serialize(m.Terminate()),
    b"\x16\x03\x01",
    b"",
]


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=64)), max_size=6),
    cuts=st.randoms(use_true_random=False),
    damage=st.integers(min_value=0, max_value=3),
)
@pytest.mark.one_loop("asyncio")
async def test_any_bytes_in_any_pieces(pieces: list[bytes], cuts: random.Random, damage: int) -> None:
    pools = _pools()
    try:
        wire, start = _begin(pools, Authentication(users=RULES))
        data = bytearray(b"".join(pieces))
        for _ in range(damage if data else 0):
            data[cuts.randrange(len(data))] = cuts.randrange(256)
        while data and not wire.is_closed:
            count = cuts.randint(1, len(data))
            wire.protocol.data_received(bytes(data[:count]))
            del data[:count]
            if cuts.random() < 0.3:
                await asyncio.sleep(0)
        assert len(start._unread) <= MAX_KEPT_BYTES
        assert b"secret" not in wire.written
        wire.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not pools.starting
        assert not pools.clients
    finally:
        await pools.aclose()
        await asyncio.sleep(0)


@pytest.mark.parametrize("data", [STARTUP + FIRST, CANCEL, STARTUP + b"Q\0\0\0\x04"], ids=["scram", "cancel", "query"])
async def test_byte_by_byte_is_as_in_one_piece(data: bytes) -> None:
    pools = _pools()
    rules = Authentication(users=RULES)
    await rules.prepared(b"scram", RULES["scram"])  # so that nothing waits for a thread
    told: list[bytes] = []
    for step in (len(data), 1):
        wire, _ = _begin(pools, rules)
        for position in range(0, len(data), step):
            if not wire.is_closed:
                wire.protocol.data_received(data[position : position + step])
        told.append(_without_nonce(bytes(wire.written)))
        wire.close()
        await asyncio.sleep(0)
    assert told[0] == told[1]
    assert not pools.starting
    await pools.aclose()


def _without_nonce(data: bytes) -> bytes:
    head, found, tail = data.partition(b"r=abcdef")
    return head + found + (tail[24:] if found else tail)


async def test_truncated_at_every_byte() -> None:
    pools = _pools()
    rules = Authentication(users=RULES)
    await rules.prepared(b"scram", RULES["scram"])
    data = STARTUP + FIRST
    for end in range(len(data)):
        wire, _ = _begin(pools, rules)
        wire.protocol.data_received(data[:end])
        assert not wire.is_closed
        wire.close()
        await asyncio.sleep(0)
    assert not pools.starting
    await pools.aclose()


async def test_who_floods_is_not_read_any_more() -> None:
    """Behind a message that is worked on, a bounded number of bytes is kept."""
    pools = _pools()
    wire, start = _begin(pools, Authentication(users=RULES))
    wire.protocol.data_received(STARTUP)  # its keys are made in a thread
    sent = 0
    while not wire.is_paused:
        wire.protocol.data_received(bytes(10_000))
        sent += 10_000
        assert sent <= 80_000
    assert len(start._unread) == sent
    wire.close()
    await pools.aclose()
    await asyncio.sleep(0)
    await _threads()


async def _threads() -> None:
    """Let what runs in a thread end."""
    await asyncio.to_thread(lambda: None)
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.needs("postgres")
async def test_leaving_after_every_byte(login_server: Server, ca: trustme.CA) -> None:
    """Sockets, tasks and connections of the pool: nothing is left, wherever a client stops."""
    rules = Authentication(users={"alice": PlainPassword(b"secret")}, method=ClientMethod.PASSWORD)
    said = (
        STARTUP.replace(b"scram", b"alice") + serialize(m.PasswordMessage(b"secret")) + serialize(m.Query(b"SELECT 1"))
    )
    async with door_on(
        a_target(login_server.port), authentication=rules, tls=pool_tls(ca, ClientTlsMode.REQUIRE)
    ) as rig:
        for end in range(0, len(said) + 1, 3):
            async with Knock(rig.port) as knock:
                await knock.start_tls(client_context(ca))
                knock.send(said[:end])
                if end % 2:
                    await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while rig.pools.starting or rig.pools.clients or any(pool.is_busy for pool in rig.pools.pools()):
                await asyncio.sleep(0)
        async with Knock(rig.port) as knock:
            await knock.start_tls(client_context(ca))
            await knock.log_in("alice", "secret")


@pytest.mark.needs("postgres")
async def test_random_tls_records(login_server: Server, ca: trustme.CA) -> None:
    dice = random.Random(17)
    async with door_on(a_target(login_server.port), tls=pool_tls(ca)) as rig:
        for _ in range(60):
            async with Knock(rig.port) as knock:
                body = dice.randbytes(dice.randrange(200))
                kind = dice.choice([0x14, 0x15, 0x16, 0x17])
                knock.send(serialize_startup(m.SSLRequest()))
                assert await knock.reader.readexactly(1) == b"S"
                knock.send(struct.pack("!BHH", kind, 0x0301, dice.choice([len(body), 0, 0xFFFF])) + body)
        async with asyncio.timeout(20):
            while rig.pools.starting:
                await asyncio.sleep(0)
        async with Knock(rig.port) as knock:
            await knock.start_tls(client_context(ca))
            await knock.log_in("anybody")
