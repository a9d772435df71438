"""A server that is none, or means harm: the pool gives up in bounded time and memory, and says why."""

from __future__ import annotations

import asyncio
import random
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.target import TlsMode, UpstreamTls
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.serialize import serialize
from tests.pool.login.upstream import logged_in, target
from tests.server_process import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PLAIN = UpstreamTls(mode=TlsMode.DISABLE)
SASL = serialize(m.AuthenticationSASL((b"SCRAM-SHA-256",)))
OK = serialize(m.AuthenticationOk())
READY = b"Z\0\0\0\5I"


@asynccontextmanager
async def _server(talk: Talk) -> AsyncIterator[int]:
    ended: set[asyncio.Future[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ended.add(done)
        try:
            await talk(reader, writer)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            done.set_result(None)

    async with await asyncio.start_server(accept, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*ended)
    for _ in range(3):
        await asyncio.sleep(0)


async def _failure(talk: Talk, **values: object) -> str:
    async with _server(talk) as port:
        with pytest.raises(LoginFailed) as caught:
            async with logged_in(target(port, "alice", "secret", **{"tls": PLAIN, **values})):
                pass
    return str(caught.value)


async def _skip_startup(reader: asyncio.StreamReader) -> None:
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    await reader.readexactly(length - 4)


def _says(*messages: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _skip_startup(reader)
        for message in messages:
            writer.write(message)
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"R" + struct.pack("!I", 1 << 30), "message of 1073741824 bytes"),
        (b"R" + struct.pack("!I", 3), "message of 3 bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "in a login"),
        (serialize(m.ParameterStatus(b"name", b"x" * 60_000)) * 20, "more than 1048576 bytes"),
        (SASL + OK + READY, "out of order"),
        (OK + SASL, "out of order"),
        (serialize(m.AuthenticationSASL((b"SCRAM-SHA-1",))), "none of the server's SASL mechanisms"),
        (b"R\0\0\0\x08\0\0\0\x07", "GSS"),
    ],
    ids=["long", "short", "http", "flood", "no proof", "twice", "mechanism", "gss"],
)
async def test_what_it_says(said: bytes, words: str) -> None:
    assert words in await _failure(_says(said))


async def test_an_iteration_count_beyond_reason() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _skip_startup(reader)
        writer.write(SASL)
        header = await reader.readexactly(5)
        first = await reader.readexactly(struct.unpack("!xi", header)[0] - 4)
        nonce = first.split(b"r=")[1]
        writer.write(serialize(m.AuthenticationSASLContinue(b"r=" + nonce + b"x,s=AAAA,i=999999999")))

    assert "iteration count" in await _failure(talk)


async def test_it_says_nothing() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    said = await _failure(talk, connect_timeout_s=0.1)
    assert "within 0.1 s" in said
    assert "firewall" in said
    assert "within 0.1 s" in await _failure(talk, connect_timeout_s=0.1, tls=UpstreamTls(mode=TlsMode.REQUIRE))


async def test_it_leaves() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _skip_startup(reader)
        writer.close()

    assert "ended during the login" in await _failure(talk)


async def test_it_leaves_right_behind_the_login() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _skip_startup(reader)
        writer.write(OK + serialize(m.BackendKeyData(1, b"1234")) + READY)
        writer.write(serialize(m.ErrorResponse(((b"S", b"FATAL"), (b"C", b"57P01"), (b"M", b"shut down")))))
        writer.close()

    assert "right after the login" in await _failure(talk)


async def test_what_comes_right_behind_the_login_is_not_lost() -> None:
    status = serialize(m.ParameterStatus(b"TimeZone", b"Mars"))
    async with (
        _server(_says(OK + serialize(m.BackendKeyData(1, b"1234")) + READY + status)) as port,
        logged_in(target(port, "alice", "secret", tls=PLAIN)) as server,
    ):
        assert server.memory.parameters[b"TimeZone"] == b"Mars"
        assert server.memory.pid == 1


@pytest.mark.one_loop("asyncio")
async def test_anything() -> None:
    """Random bytes, and real messages with damage in them."""
    dice = random.Random(11)
    pieces = [SASL, OK, READY, serialize(m.AuthenticationMD5Password(b"1234")), serialize(m.BackendKeyData(1, b"1234"))]
    for _ in range(60):
        data = bytearray(b"".join(dice.choices(pieces, k=dice.randrange(1, 4))))
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        if dice.random() < 0.3:
            data = bytearray(dice.randbytes(200))

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = bytes(data)) -> None:
            await _skip_startup(reader)
            writer.write(said)
            writer.write_eof()

        async with _server(talk) as port:
            try:
                async with logged_in(target(port, "alice", "secret", tls=PLAIN, connect_timeout_s=5.0)):
                    pass
            except LoginFailed:
                pass
