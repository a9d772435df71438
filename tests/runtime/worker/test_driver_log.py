"""Connections of drivers: recorded on both loops, and no driver notices."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomysql
import aiosmtplib
import asyncpg
import asyncssh
import pytest
import redis.asyncio

from longshore.proto.ipc.messages import ConnectionClosed, ConnectionOpened
from longshore.runtime.worker.driver_log import recording_class
from tests.loopback import refusing_address
from tests.loops import open_sockets
from tests.runtime.worker.recorded import Messages
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.server_process import Server

HOST = "127.0.0.1"


@pytest.fixture
def record(loop_name: str) -> Callable[[Callable[[Messages], Awaitable[None]]], list[Any]]:
    """Run a coroutine function in a recording loop and return the messages."""

    def run(function: Callable[[Messages], Awaitable[None]]) -> list[Any]:
        loop_class: Any = asyncio.SelectorEventLoop
        if loop_name == "uvloop":
            import uvloop  # noqa: PLC0415 - absent on PyPy and Windows

            loop_class = uvloop.Loop
        messages: list[Messages] = []

        def make_loop() -> asyncio.AbstractEventLoop:
            loop: asyncio.AbstractEventLoop = recording_class(loop_class)()
            return loop

        async def main() -> None:
            messages.append(Messages())
            loop: Any = asyncio.get_running_loop()
            loop.recorder = messages[0].recorder
            assert type(loop).__module__ == loop_class.__module__
            await function(messages[0])

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())
        return messages[0].all

    return run


class Talk(asyncio.Protocol):
    """A protocol that keeps what happens to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.has_ended = asyncio.Event()
        self.heard = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.events.append(data.decode())
        self.heard.set()

    def eof_received(self) -> bool | None:
        self.events.append("eof")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(f"lost {type(exc).__name__ if exc else ''}".strip())
        self.has_ended.set()


class BufferedTalk(Talk, asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray(100)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.buffer[:nbytes]))


@pytest.mark.parametrize("kind", [Talk, BufferedTalk])
def test_a_transport_and_its_protocol(kind: type[Talk], record: Any) -> None:
    addresses = []

    async def talk(_: Messages) -> None:
        with RawServer() as server:
            addresses.append(server.address)
            host, port = server.address.split(":")
            transport, protocol = await asyncio.get_running_loop().create_connection(kind, host, int(port))
            async with await server.accept() as peer:
                assert protocol.transport is transport
                assert transport.get_protocol() is protocol
                assert transport.get_extra_info("peername") == (host, int(port))
                transport.write(b"hello ")
                transport.writelines([b"my ", b"friend"])
                assert await peer.receive_exactly(15) == b"hello my friend"
                await peer.send(b"hi")
                await protocol.heard.wait()
                transport.close()
                assert transport.is_closing()
                await protocol.has_ended.wait()
            assert protocol.events == ["made", "hi", "lost"]

    opened, closed = record(talk)
    assert isinstance(opened, ConnectionOpened)
    assert (opened.address, opened.remote_address, opened.via) == (addresses[0], addresses[0], "asyncio")
    assert opened.total_s is not None
    assert isinstance(closed, ConnectionClosed)
    assert (closed.bytes_sent, closed.bytes_received, closed.ended) == (15, 2, "closed")


def test_a_transport_does_everything_that_the_loops_own_does(record: Any) -> None:
    async def talk(_: Messages) -> None:
        with RawServer() as server:
            host, port = server.address.split(":")
            transport, protocol = await asyncio.get_running_loop().create_connection(Talk, host, int(port))
            async with await server.accept() as peer:
                assert transport.is_reading()
                transport.pause_reading()
                assert not transport.is_reading()
                transport.resume_reading()
                transport.set_write_buffer_limits(high=100, low=10)
                assert transport.get_write_buffer_limits() == (10, 100)
                assert transport.get_write_buffer_size() == 0
                assert transport.get_extra_info("nothing", "default") == "default"
                assert "ransport" in repr(transport)
                assert transport.can_write_eof()
                transport.write_eof()
                assert await peer.receive() == b""
                await peer.send_eof()
                await protocol.has_ended.wait()

    assert record(talk)[1].ended == "end of file"


def test_the_peer_ends(record: Any) -> None:
    async def talk(_: Messages) -> None:
        with RawServer() as server:
            host, port = server.address.split(":")
            _transport, protocol = await asyncio.get_running_loop().create_connection(Talk, host, int(port))
            (await server.accept()).close()
            await protocol.has_ended.wait()
            assert protocol.events == ["made", "eof", "lost"]

    assert record(talk)[1].ended == "end of file"


def test_the_peer_resets(record: Any) -> None:
    async def talk(_: Messages) -> None:
        with RawServer() as server:
            host, port = server.address.split(":")
            _transport, protocol = await asyncio.get_running_loop().create_connection(Talk, host, int(port))
            (await server.accept()).abort()
            await protocol.has_ended.wait()
            assert protocol.events == ["made", "lost ConnectionResetError"]

    assert record(talk)[1].ended == "reset"


def test_a_refused_connection_raises_as_ever(record: Any) -> None:
    async def talk(_: Messages) -> None:
        with refusing_address() as address:
            host, port = address.split(":")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.get_running_loop().create_connection(Talk, host, int(port))

    (opened,) = record(talk)
    assert "refused" in opened.error.lower() or "connect" in opened.error.lower()


def test_another_protocol_takes_over(record: Any) -> None:
    """What asyncpg does once it knows whether the server speaks TLS."""

    async def talk(_: Messages) -> None:
        with RawServer() as server:
            host, port = server.address.split(":")
            transport, first = await asyncio.get_running_loop().create_connection(Talk, host, int(port))
            async with await server.accept() as peer:
                second = Talk()
                transport.set_protocol(second)
                assert transport.get_protocol() is second
                await peer.send(b"hi")
                await second.heard.wait()
                transport.abort()
                await second.has_ended.wait()
            assert (first.events, second.events) == (["made"], ["hi", "lost"])

    assert record(talk)[1].bytes_received == 2


def test_a_unix_connection(record: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def talk(_: Messages) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_unix_server(answer, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()

    opened, closed = record(talk)
    assert opened.address == path
    assert (closed.bytes_sent, closed.bytes_received) == (5, 5)


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve an echo behind STARTTLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(8) == b"STARTTLS":
            writer.write(b"go")
            await writer.start_tls(context)
        writer.write(await reader.readexactly(6))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


def test_starttls_goes_on_as_the_same_connection(
    record: Any, server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async def talk(_: Messages) -> None:
        async with tls_server(server_ssl_context) as port:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"STARTTLS")
            assert await reader.readexactly(2) == b"go"
            await writer.start_tls(client_context, server_hostname="localhost")
            assert writer.get_extra_info("cipher") is not None
            writer.write(b"secret")
            assert await reader.readexactly(6) == b"secret"
            writer.close()
            await writer.wait_closed()

    opened, closed = record(talk)
    assert (closed.connection_id, closed.bytes_sent, closed.bytes_received) == (opened.connection_id, 14, 8)
    assert closed.tls_s is not None
    assert closed.ended == "closed"


def test_a_socket_that_is_connected_by_the_loop(record: Any) -> None:
    async def talk(_: Messages) -> None:
        with RawServer() as server, socket.socket() as sock:
            host, port = server.address.split(":")
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
            (await server.accept()).close()

    (opened,) = record(talk)
    assert (opened.via, opened.error) == ("socket", "")


def test_what_a_driver_starts_itself_is_recorded_too(record: Any) -> None:
    """A task that a protocol starts while it is being connected makes connections of its own."""

    async def talk(_: Messages) -> None:
        with RawServer() as server:
            host, port = server.address.split(":")
            loop = asyncio.get_running_loop()

            class Starter(Talk):
                def data_received(self, data: bytes) -> None:
                    self.task = asyncio.ensure_future(loop.create_connection(Talk, host, int(port)))
                    self.heard.set()

            transport, protocol = await loop.create_connection(Starter, host, int(port))
            async with await server.accept() as peer:
                await peer.send(b"x")
                await protocol.heard.wait()
                other, talker = await protocol.task
                other.abort()
                transport.abort()
                await talker.has_ended.wait()

    assert len([message for message in record(talk) if isinstance(message, ConnectionOpened)]) == 2


# -- real drivers ---------------------------------------------------------------------------------


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
def test_asyncpg(record: Any, postgres_server: Server, sslmode: str) -> None:
    async def talk(messages: Messages) -> None:
        dsn = f"postgres://postgres@{HOST}:{postgres_server.port}/postgres?sslmode={sslmode}"
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM generate_series(1, 1000)") == 1000
        rows = await connection.fetch("SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        assert len(rows) == 1000
        await connection.close()
        await messages.until(ConnectionClosed)

    opened, closed = record(talk)
    assert opened.address == f"{HOST}:{postgres_server.port}"
    assert closed.bytes_received > 1_000_000
    assert (closed.tls_s is None) == (sslmode == "disable")


@pytest.mark.needs("redis-server")
def test_redis(record: Any, redis_server: Server) -> None:
    async def talk(messages: Messages) -> None:
        async with redis.asyncio.Redis(host=HOST, port=redis_server.port) as client:
            await client.set("key", b"x" * 100_000)
            assert await client.get("key") == b"x" * 100_000
        await messages.until(ConnectionClosed)

    opened, closed = record(talk)
    assert opened.remote_address == f"{HOST}:{redis_server.port}"
    assert closed.bytes_received > 100_000
    assert closed.bytes_sent > 100_000


@pytest.mark.needs("sshd")
def test_asyncssh(record: Any, ssh_server: Server) -> None:
    async def talk(messages: Messages) -> None:
        facts = ssh_server.facts
        async with asyncssh.connect(
            HOST,
            ssh_server.port,
            username=facts["user"],
            client_keys=[asyncssh.import_private_key(facts["private_key"])],
            known_hosts=([asyncssh.import_public_key(facts["host_key"])], [], []),
            config=None,
        ) as server:
            assert (await server.run("echo hello", check=True)).stdout == "hello\n"
        await messages.until(ConnectionClosed)

    opened, closed = record(talk)
    assert opened.via == "asyncio"
    assert closed.bytes_received > 1000


def test_aiosmtplib_with_starttls(record: Any, smtp_server: Server, client_context: ssl.SSLContext) -> None:
    async def talk(messages: Messages) -> None:
        client = aiosmtplib.SMTP(hostname=HOST, port=smtp_server.port, start_tls=True, tls_context=client_context)
        async with client:
            await client.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\nhello\r\n")
        await messages.until(ConnectionClosed)

    opened, closed = record(talk)
    assert opened.address == f"{HOST}:{smtp_server.port}"
    assert closed.tls_s is not None
    assert closed.bytes_sent > 100


@pytest.mark.needs("mariadbd")
def test_aiomysql_with_tls(record: Any, mysql_server: Server, client_context: ssl.SSLContext) -> None:
    """It connects, takes the socket out of the transport, and connects again with TLS on that."""

    async def talk(_: Messages) -> None:
        facts = mysql_server.facts
        place = (HOST, facts["user"], facts["password"], facts["database"], mysql_server.port)
        before = open_sockets()
        async with aiomysql.connect(*place, ssl=client_context) as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            assert await cursor.fetchall() == ((1,),)
        # aiomysql waits for no transport that it closes, and uvloop cannot close its loop before TLS has said goodbye.
        while open_sockets() - before:
            await asyncio.sleep(0)

    messages = record(talk)
    assert [each.address for each in messages if isinstance(each, ConnectionOpened)] == [
        f"{HOST}:{mysql_server.port}"
    ] * 2


# -- synchronous sockets --------------------------------------------------------------------------

PLAIN = """
import socket, sys
from longshore.runtime.worker.driver_log import watch_sockets
from longshore.runtime.worker.recorder import Recorder

class Printer:
    def send(self, message):
        print(type(message).__name__, message.address, message.via)

watch_sockets(Recorder(Printer()))
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
socket.create_connection(("127.0.0.1", port)).close()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
    datagrams.connect(("127.0.0.1", port))
print(port)
"""


def test_a_plain_socket_is_recorded_when_it_connects() -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN], stdout=subprocess.PIPE, text=True, check=True)
    *lines, port = done.stdout.splitlines()
    assert lines == [f"ConnectionOpened 127.0.0.1:{port} socket"]
