"""Tunnels: TLS in the egress process, the plain side in the worker."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from longshore.core.tls_options import TlsRequest
from longshore.egress import tunnel as tunnel_module
from longshore.egress.tunnel import open_tunnel
from longshore.egress.tunnel_flow import Flow
from longshore.errors import ClosedError, ConnectTimeout, ResetError, SocketError, TlsError
from longshore.testing import STREAM_CHECKS, StreamCheck, StreamDriver, run_check
from tests.egress.tunnels import request, tunnel_scene
from tests.testing.raw import RawPeer, RawServer
from tests.testing.tls_peer import NAME, TlsPeer, server_context

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.testing import StreamPeer
    from tests.testing.tls_peer import TlsVersion

BULK = b"0123456789abcdef" * 65536  # 1 MiB: more than all buffers on the way


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_of_streams_is_kept(check: StreamCheck, version: TlsVersion) -> None:
    async with tunnel_scene(version) as scene:

        async def make_pair() -> tuple[ByteStream, StreamPeer]:
            return scene.stream, scene.peer

        await run_check(check, make_pair, timeout_s=20.0)


async def test_facts_of_the_connection() -> None:
    async with tunnel_scene() as scene:
        info = scene.tunnel.info
        assert info.tls_version == "TLSv1.3"
        assert info.remote_address.startswith("127.0.0.1:")
        assert info.local_address is not None
        assert info.peer_certificate
        assert info.timings.tls_s is not None


async def test_bulk_both_ways_at_once() -> None:
    async with tunnel_scene() as scene:
        worker = StreamDriver(scene.stream)

        async def echo() -> None:
            while data := await scene.peer.receive():
                await scene.peer.send(data)
            await scene.peer.send_eof()

        async def send() -> None:
            await worker.send(BULK)
            await worker.send_eof()

        async def receive() -> bytes:
            received = bytearray()
            while data := await worker.receive():
                received += data
            return bytes(received)

        _, _, received = await asyncio.gather(echo(), send(), receive())
        assert received == BULK
        assert scene.ends == [None]
        async with asyncio.timeout(10):
            await scene.done.wait()


async def test_end_of_file_without_word_of_how_it_ended_is_no_end() -> None:
    async with tunnel_scene() as scene:
        scene.is_message_late = True
        await scene.peer.send(b"last")
        await scene.peer.send_eof()
        worker = StreamDriver(scene.stream)
        assert await worker.receive() == b"last"
        reading = asyncio.ensure_future(worker.receive())
        while scene.plain.fileno() >= 0 and scene.plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b"":
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not reading.done()
        scene.stream.ended(None)
        assert await reading == b""


async def test_word_of_the_end_before_the_last_bytes_were_read() -> None:
    async with tunnel_scene() as scene:
        await scene.peer.send(b"last")
        await scene.peer.send_eof()
        while not scene.ends:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        worker = StreamDriver(scene.stream)
        assert await worker.receive() == b"last"
        assert await worker.receive() == b""


async def test_a_truncated_stream_is_an_error_behind_its_bytes() -> None:
    async with tunnel_scene() as scene:
        await scene.peer.send(b"half of i")
        await scene.peer.raw.send_eof()  # TCP ends, TLS does not
        worker = StreamDriver(scene.stream)
        assert await worker.receive() == b"half of i"
        with pytest.raises(TlsError) as caught:
            await worker.receive()
        assert caught.value.truncated
        async with asyncio.timeout(10):
            await scene.done.wait()


async def test_a_worker_that_dies_has_not_finished() -> None:
    async with tunnel_scene() as scene:
        await StreamDriver(scene.stream).send(b"half of i")
        scene.stream.set_owner(None)
        scene.plain.shutdown(socket.SHUT_WR)  # what the kernel does for a process that is killed
        assert await scene.peer.receive() == b"half of i"
        scene.tunnel.abort()  # its channel has ended
        assert await scene.peer.receive_until_end() == (b"", "reset")
        assert scene.done.is_set()
        assert scene.ends == []


async def test_close_without_an_end_is_a_truncated_stream() -> None:
    async with tunnel_scene() as scene:
        worker = StreamDriver(scene.stream)
        receiving = asyncio.ensure_future(scene.peer.receive_until_end())
        await worker.send(BULK)
        scene.stream.close()
        received, end = await receiving
        assert received == BULK
        assert end == "truncated"
        assert scene.steps == ["close"]


async def test_half_close_lets_the_peer_go_on() -> None:
    async with tunnel_scene() as scene:
        worker = StreamDriver(scene.stream)
        await worker.send(b"question")
        await worker.send_eof()
        assert await scene.peer.receive_until_end() == (b"question", "eof")
        await scene.peer.send(b"answer")
        assert await worker.receive() == b"answer"
        await scene.peer.send_eof()
        assert await worker.receive() == b""


async def test_what_a_worker_left_behind_is_sent_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel_module, "LINGER_S", 0.05)
    async with tunnel_scene() as scene:
        while scene.stream.try_write(BULK):
            await asyncio.sleep(0)  # until nobody takes anything any more
        scene.stream.close()
        async with asyncio.timeout(10):
            await scene.done.wait()


async def test_nothing_more_is_read_than_the_worker_takes() -> None:
    async with tunnel_scene() as scene:
        sending = asyncio.ensure_future(scene.peer.send(BULK * 16))
        async with asyncio.timeout(20):
            while not await _is_stuck(scene.plain):
                pass
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        scene.stream.abort()
        assert scene.steps == ["abort"]


async def _is_stuck(plain: socket.socket) -> bool:
    """Say whether for many turns of the loop nothing more arrived."""
    before = _waiting(plain)
    for _ in range(200):
        await asyncio.sleep(0)
    return before == _waiting(plain) > 0


def _waiting(plain: socket.socket) -> int:
    return len(plain.recv(1 << 24, socket.MSG_PEEK | socket.MSG_DONTWAIT)) if _has(plain) else 0


def _has(plain: socket.socket) -> bool:
    try:
        return bool(plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


async def test_news_after_close_change_nothing() -> None:
    async with tunnel_scene() as scene:
        scene.stream.close()
        scene.stream.ended(ResetError("late"))
        with pytest.raises(ClosedError):
            scene.stream.try_read(1)
        with pytest.raises(ClosedError):
            scene.stream.try_write(b"x")


async def test_the_end_of_the_egress_process_is_an_error() -> None:
    async with tunnel_scene() as scene:
        worker = StreamDriver(scene.stream)
        reading = asyncio.ensure_future(worker.receive())
        await asyncio.sleep(0)
        scene.tunnel.abort()
        scene.stream.ended(ResetError("the egress process is gone"))
        with pytest.raises(ResetError, match="egress process is gone"):
            await reading
        with pytest.raises(ResetError, match="egress process is gone"):
            scene.stream.try_write(b"x")


async def _open(client: RawPeer, *, tls: TlsRequest | None = None, is_upgrade: bool = False) -> None:
    def on_end(error: SocketError | None) -> None:
        raise AssertionError(f"there was no tunnel that could end with {error!r}")

    tunnel = await open_tunnel(client.sock, tls or request(), on_end, address="pay.example:443", is_upgrade=is_upgrade)
    tunnel.abort()


async def test_plaintext_before_an_upgrade_fails_it() -> None:
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        async with await server.accept() as peer:
            await peer.send(b"injected")
            while client.sock.fileno() >= 0 and not _has(client.sock):
                await asyncio.sleep(0)
            with pytest.raises(TlsError, match=r"pay\.example:443 refused: plaintext arrived"):
                await _open(client, is_upgrade=True)
            assert client.sock.fileno() == -1


async def test_a_certificate_that_is_not_trusted() -> None:
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        peer = TlsPeer(await server.accept(), server_context("TLSv1.3"))
        try:
            answering = asyncio.ensure_future(peer.handshake())
            with pytest.raises(TlsError, match=r"pay\.example:443 failed: certificate refused") as caught:
                await _open(client, tls=TlsRequest(NAME))
            assert caught.value.verify_reason
            assert client.sock.fileno() == -1
            await asyncio.gather(answering, return_exceptions=True)
        finally:
            peer.close()


async def test_time_runs_out_in_the_handshake() -> None:
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        async with await server.accept():
            with pytest.raises(ConnectTimeout, match="during the TLS handshake"):
                await _open(client, tls=request(timeout_s=0.01))
            assert client.sock.fileno() == -1


async def test_a_cancelled_handshake_leaves_nothing() -> None:
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        async with await server.accept() as peer:
            opening = asyncio.ensure_future(_open(client))
            assert await peer.receive()  # the ClientHello
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            assert client.sock.fileno() == -1
            assert (await peer.receive_until_end())[1] == "reset"


async def test_a_tunnel_that_nobody_takes() -> None:
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        peer = TlsPeer(await server.accept(), server_context("TLSv1.3"))
        try:
            ends: list[SocketError | None] = []
            tunnel, _ = await asyncio.gather(open_tunnel(client.sock, request(), ends.append), peer.handshake())
            tunnel.abort()
            tunnel.abort()
            assert tunnel.is_done
            await asyncio.sleep(0)
            assert ends == []
        finally:
            peer.close()


async def test_the_last_flight_of_the_handshake_is_not_held_back() -> None:
    """A server of TLS 1.3 that speaks first has to know that the client has accepted it."""
    async with tunnel_scene() as scene:  # the peer's handshake ends with our last flight
        await scene.peer.send(b"220 ready")
        assert await StreamDriver(scene.stream).receive() == b"220 ready"


class Endless:
    """A source that always has more, and a sink that always has room."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.taken = 0

    def try_read_into(self, buffer: memoryview) -> int:
        self.left -= 1
        return 1 if self.left >= 0 else 0

    def try_write(self, data: memoryview) -> int:
        self.taken += len(data)
        return len(data)


async def test_a_flow_that_never_has_to_wait_lets_others_have_their_turn() -> None:
    ended: list[bool] = []
    endless: Any = Endless(100)

    def go_on() -> None:
        ended.append(flow.run())

    flow = Flow(endless, endless, go_on)
    go_on()
    others = 0
    while not ended[-1]:
        await asyncio.sleep(0)
        others += 1
    assert endless.taken == 100
    assert others >= 10
