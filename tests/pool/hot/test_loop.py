"""The hot loop is asyncio's loop, for whoever uses it."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import ssl
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform != "linux":
    pytest.skip("the hot loop needs epoll", allow_module_level=True)

from longshore.pool.hot import HotEventLoop, new_event_loop
from longshore.pool.hot.selector import HotSelector
from longshore.pool.hot.transport import HotTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

HOST = "127.0.0.1"
MUCH = bytes(range(256)) * 20_000
LIMIT_S = 20.0


def run(main: Callable[[], Coroutine[Any, Any, None]], loop: Callable[[], HotEventLoop] = HotEventLoop) -> None:
    """Run in a hot loop; what the loop has to complain about fails the test."""
    complaints: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(LIMIT_S):
            await main()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(guarded())
    assert not complaints


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    assert isinstance(writer.transport, HotTransport)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("yield_s", [0.0, 50e-6])
def test_streams_carry_much_both_ways(yield_s: float) -> None:
    async def main() -> None:
        server = await asyncio.start_server(_echo, HOST, 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            reading = asyncio.ensure_future(reader.readexactly(len(MUCH)))
            writer.write(MUCH)
            await writer.drain()
            assert await reading == MUCH
            writer.write_eof()
            assert not await reader.read()
            assert writer.get_extra_info("peername") == server.sockets[0].getsockname()
            assert writer.get_extra_info("sockname")[0] == HOST
            assert writer.get_extra_info("nothing", 5) == 5
            writer.close()
            await writer.wait_closed()

    run(main, lambda: HotEventLoop(yield_s))


def test_tls_is_begun_on_an_open_connection(server_ssl_context: ssl.SSLContext, ca_file: Path) -> None:
    client_context = ssl.create_default_context(cafile=str(ca_file))

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readexactly(1) == b"S"
            await writer.start_tls(server_ssl_context)
            await _answer(reader, writer)

        server = await asyncio.start_server(serve, HOST, 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"S")
            await writer.start_tls(client_context, server_hostname="localhost")
            writer.write(MUCH)
            assert await reader.readexactly(len(MUCH)) == MUCH
            writer.close()
            await writer.wait_closed()

    run(main)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Notes(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.resumed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Note it."""
        self.said.append(data)

    def pause_writing(self) -> None:
        """Note it."""
        self.said.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.said.append("resume")
        self.resumed.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note it."""
        assert not self.lost.done(), "told twice"
        self.lost.set_result(exc)


async def _connected(protocol: Notes) -> tuple[Notes, socket.socket]:
    """Return the protocol on one end of a pair, and the other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    await asyncio.get_running_loop().create_connection(lambda: protocol, sock=ours)
    return protocol, theirs


def test_a_slow_reader_pauses_the_writer() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        notes, peer = await _connected(Notes())
        with peer:
            notes.transport.set_write_buffer_limits(high=10_000, low=1000)
            notes.transport.write(MUCH)
            assert notes.said == ["pause"]
            assert notes.transport.get_write_buffer_size() > 10_000
            got = bytearray()
            while not notes.resumed.is_set():
                got += await loop.sock_recv(peer, 65536)
            assert notes.said == ["pause", "resume"]
            notes.transport.write(b"end")
            notes.transport.close()
            while not got.endswith(b"end"):
                got += await loop.sock_recv(peer, 65536)
            assert got == MUCH + b"end"
            assert await notes.lost is None

    run(main)


def test_nothing_is_read_while_it_is_paused() -> None:
    async def main() -> None:
        notes, peer = await _connected(Notes())
        with peer:
            notes.transport.pause_reading()
            assert not notes.transport.is_reading()
            peer.send(b"hello")
            for _ in range(20):
                await asyncio.sleep(0)
            assert not notes.said
            notes.transport.resume_reading()
            while not notes.said:
                await asyncio.sleep(0)
            assert notes.said == [b"hello"]
            notes.transport.abort()
            notes.transport.abort()
            await notes.lost

    run(main)


def test_a_peer_that_resets_is_reported_once() -> None:
    async def main() -> None:
        server = socket.create_server((HOST, 0))
        with server:
            notes = Notes()
            await asyncio.get_running_loop().create_connection(lambda: notes, *server.getsockname())
            peer, _ = server.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            assert isinstance(await notes.lost, ConnectionResetError)
            notes.transport.write(b"too late")
            notes.transport.close()

    run(main)


def test_a_protocol_that_raises_loses_its_connection_and_nobody_else() -> None:
    class Broken(Notes):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        broken, peer = await _connected(Broken())
        well, other = await _connected(Notes())
        with peer, other:
            peer.send(b"x")
            assert isinstance(await broken.lost, ZeroDivisionError)
            other.send(b"y")
            while not well.said:
                await asyncio.sleep(0)
            well.transport.close()
            await well.lost
        assert [type(each["exception"]) for each in complaints] == [ZeroDivisionError]

    run(main)


def test_hot_traffic_starves_neither_timers_nor_other_threads_nor_cold_sockets() -> None:
    class Forever(Notes):
        """Sends back whatever comes, without end."""

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        players = [Forever(), Forever()]
        for player, sock in zip(players, (ours, theirs), strict=True):
            sock.setblocking(False)
            await loop.create_connection(lambda player=player: player, sock=sock)  # type: ignore[misc]
        players[0].transport.write(b"ball")
        await asyncio.sleep(0.001)
        assert await asyncio.to_thread(lambda: 5) == 5
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.send(b"cold")
            assert await loop.sock_recv(left, 10) == b"cold"
        for player in players:
            player.transport.abort()
            await player.lost

    run(main)


def test_a_buffered_protocol_is_given_its_buffer() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(3)
            self.said = b""
            self.transport: Any = None
            self.ended = asyncio.Event()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.said += self.buffer[:nbytes]

        def connection_lost(self, exc: BaseException | None) -> None:
            self.ended.set()

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        protocol = Buffered()
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=ours)
        theirs.send(b"abcdefgh")
        theirs.close()
        await protocol.ended.wait()
        assert protocol.said == b"abcdefgh"

    run(main)


def test_a_server_waits_for_its_connections() -> None:
    async def main() -> None:
        made: list[Notes] = []

        def make() -> Notes:
            made.append(Notes())
            return made[-1]

        loop = asyncio.get_running_loop()
        server = await loop.create_server(make, HOST, 0)
        clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(5)]
        while len(made) < len(clients):
            await asyncio.sleep(0)
        server.close()
        for client in clients:
            client.close()
        for notes in made:
            assert await notes.lost is None
        await server.wait_closed()

    run(main)


def test_a_wait_that_brings_nothing_is_not_repeated_at_once() -> None:
    selector = HotSelector(1e-9)
    ours, theirs = socket.socketpair()

    with ours, theirs:
        assert selector.select(0) == []
        selector.register(ours, 1, "data")
        theirs.send(b"x")
        ((key, events),) = selector.select(None)
        assert (key.data, events) == ("data", 1)
        assert selector.get_key(ours).data == "data"
        assert len(selector.get_map()) == 1
        selector.unregister(ours)
        assert selector.select(0.001) == []
    selector.close()


def test_the_fastest_loop_is_this_one() -> None:
    loop = new_event_loop()
    assert isinstance(loop, HotEventLoop)
    loop.close()


def test_a_listener_goes_on_when_there_are_descriptors_again(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr("longshore.pool.hot.loop._PAUSE_S", 0.01)
        server = await asyncio.start_server(_echo, HOST, 0)
        async with server:
            address = server.sockets[0].getsockname()
            loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            client = socket.create_connection(address)
            client.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, most))
            try:
                while not complaints:
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            await loop.sock_sendall(client, b"hello")
            assert await loop.sock_recv(client, 5) == b"hello"
            client.close()

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert complaints


def test_a_protocol_that_fails_at_its_end_is_told_of_and_let_go() -> None:
    complaints: list[str] = []

    class Failing(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            raise ValueError("at the end")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context["exception"])))
        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.create_connection(Failing, sock=near)
            gone = weakref.ref(protocol)
            del protocol
            transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert near.fileno() == -1
            assert gone() is None

    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()
    assert complaints == ["at the end"]


@pytest.mark.parametrize("is_tcp", [False, True])
def test_a_socket_that_somebody_else_accepted_is_served(is_tcp: bool) -> None:
    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            peers.append(transport.get_extra_info("peername"))

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)  # type: ignore[attr-defined]  # of HotTransport

    peers: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HotEventLoop)
        near, far = socket.socketpair()
        if is_tcp:
            far.close()
            near.close()
            with socket.create_server((HOST, 0)) as listener:
                far = socket.create_connection(listener.getsockname())
                near, _ = listener.accept()
        near.setblocking(False)
        far.setblocking(False)
        loop.adopt(near, Echo)
        assert peers == [far.getsockname()]
        await loop.sock_sendall(far, b"hello")
        assert await loop.sock_recv(far, 5) == b"hello"
        far.close()
        while near.fileno() >= 0:
            await asyncio.sleep(0)

    run(main)
