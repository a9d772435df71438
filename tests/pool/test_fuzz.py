"""Garbage in either direction: a clean end for the session that it is about, and nothing for the others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.pool.session.engine import SessionEngine
from longshore.pool.session.server_memory import ServerMemory
from longshore.pool.session.shared import PoolShared
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import BackendType, FrontendType
from longshore.proto.postgres.framing import backend_reader, frontend_reader
from longshore.proto.postgres.serialize import serialize
from longshore.proto.postgres.violation import ProtocolViolation
from tests.pool.plays import PLAYS
from tests.pool.rig import LIMIT_S, pool_on, session

if TYPE_CHECKING:
    from tests.server_process import Server

_MESSAGES: tuple[m.BackendMessage, ...] = (
    m.ParseComplete(),
    m.BindComplete(),
    m.CloseComplete(),
    m.NoData(),
    m.CommandComplete(b"SELECT 1"),
    m.CommandComplete(b"DISCARD ALL"),
    m.EmptyQueryResponse(),
    m.DataRow((b"1",)),
    m.ParameterStatus(b"TimeZone", b"UTC"),
    m.NotificationResponse(1, b"news", b""),
)
_ANSWERS = tuple(map(serialize, _MESSAGES))
_READY = tuple(b"Z\0\0\0\x05" + status for status in (b"I", b"T", b"E"))
_ERRORS = tuple(
    b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"
    for fields in (
        b"SERROR\0VERROR\0C22012\0Mno\0",
        b"SFATAL\0VFATAL\0C57P01\0Mbye\0",
        b"SERROR\0VERROR\0C57014\0Mstop\0",
    )
)
_COPIES = (b"G\0\0\0\x07\0\0\0", b"H\0\0\0\x07\0\0\0", b"c\0\0\0\x04", b"d\0\0\0\x05x")
_server_bytes = st.one_of(
    st.sampled_from(_ANSWERS + _READY + _ERRORS + _COPIES),
    st.builds(
        lambda kind, payload: bytes([kind]) + (len(payload) + 4).to_bytes(4, "big") + payload,
        st.sampled_from([int(kind) for kind in BackendType]) | st.integers(0, 255),
        st.binary(max_size=40),
    ),
    st.binary(max_size=30),
)
_client_bytes = st.one_of(
    st.sampled_from([play.sent for play in PLAYS]),
    st.builds(
        lambda kind, payload: bytes([kind]) + (len(payload) + 4).to_bytes(4, "big") + payload,
        st.sampled_from([int(kind) for kind in FrontendType]) | st.integers(0, 255),
        st.binary(max_size=40),
    ),
    st.binary(max_size=30),
)


def _engine() -> SessionEngine:
    shared = PoolShared("postgres", lambda *_: None)
    shared.shares_listening = True
    return SessionEngine(1, shared, {}, {b"client_encoding": b"UTF8"})


@settings(max_examples=400, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(_client_bytes, max_size=3), _server_bytes), max_size=12))
def test_an_engine_ends_with_a_violation_and_nothing_else(steps: list[tuple[bool, list[bytes], bytes]]) -> None:
    """Whatever both sides say: the queue of the connection is consistent, or the session is over."""
    engine = _engine()
    client, server = frontend_reader(), backend_reader()
    memory = ServerMemory(1, {b"client_encoding": b"UTF8"}, 7, b"key!")
    with contextlib.suppress(ProtocolViolation):
        for is_answered, sent, said in steps:
            engine.client_received(client.receive_data(b"".join(sent)))
            if engine.wants_server:
                engine.attach(memory)
            if engine.is_done:
                assert memory.relay.is_idle
                engine.detach()
            if engine.wire.server is not None and is_answered:
                engine.server_received(server.receive_data(said))
            if engine.wants_listener:
                engine.wants_listener = False
                engine.listener_answered(is_answered)
    left, _ = engine.abandon()
    assert left is None or left is memory


@pytest.mark.needs("postgres")
@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(_client_bytes, min_size=1, max_size=5))
async def test_a_client_that_talks_nonsense_harms_itself_only(postgres_server: Server, pieces: list[bytes]) -> None:
    async with pool_on(postgres_server.port, size=2) as rig, session(rig.port) as two:
        async with session(rig.port) as one:
            one.send(*pieces)
            assert await two.value("SELECT 'right'") == "right"
            one.abort()
        for _ in range(3):
            assert await two.value("SELECT 'right'") == "right"
        async with asyncio.timeout(LIMIT_S):
            while rig.in_use():
                await asyncio.sleep(0.001)


class _LyingServer(asyncio.Protocol):
    """Lets everybody in, and then answers the n-th query with garbage; the others with what they asked for."""

    lie = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.unread = b""
        self.is_started = False

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        if not self.is_started:
            if data[4:8] == (80877103).to_bytes(4, "big"):
                self.transport.write(b"N")
                return
            self.is_started = True
            parameters = (m.ParameterStatus(b"client_encoding", b"UTF8"), m.ParameterStatus(b"server_version", b"15.0"))
            hello: tuple[m.BackendMessage, ...] = (m.AuthenticationOk(), *parameters, m.BackendKeyData(1, b"abcd"))
            self.transport.write(b"".join(map(serialize, hello)) + _READY[0])
            return
        self.unread += data
        while self.unread and len(self.unread) > (end := int.from_bytes(self.unread[1:5], "big")):
            message, self.unread = self.unread[: end + 1], self.unread[end + 1 :]
            self._answer(message[5:-1])

    def _answer(self, text: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        if text == b"SELECT 'lie'":
            self.transport.write(self.lie)
            return
        columns = m.RowDescription((m.FieldDescription(b"v", 25, 0, 0, -1, -1, 0),))
        answer: tuple[m.BackendMessage, ...] = (columns, m.DataRow((text,)), m.CommandComplete(b"SELECT 1"))
        self.transport.write(b"".join(map(serialize, answer)) + _READY[0])


@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(lie=st.lists(_server_bytes, min_size=1, max_size=5).map(b"".join))
async def test_a_server_that_talks_nonsense_harms_who_asked_it_only(lie: bytes) -> None:
    _LyingServer.lie = lie
    server = await asyncio.get_running_loop().create_server(_LyingServer, "127.0.0.1", 0)
    async with (
        server,
        pool_on(server.sockets[0].getsockname()[1], size=2) as rig,
        session(rig.port) as one,
        session(rig.port) as two,
    ):
        one.send(m.Query(b"SELECT 'lie'"))
        for number in range(3):
            assert await two.value(f"SELECT 'right {number}'") == f"SELECT 'right {number}'"
        one.abort()
        for number in range(3):
            assert await two.value(f"SELECT 'still {number}'") == f"SELECT 'still {number}'"
