"""How the event of each row of ``settle_matrix.py`` is brought about, on real connections."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING

import pytest

from longshore import AbortController, ConnectError, DirectDialer, UsageError
from longshore.testing import StaticResolver
from tests.sockets.settle_scene import BIG, Scene, Subject, turns
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from longshore import Socket
    from tests.testing.raw import RawPeer

    Play = Callable[[Scene], Awaitable[Subject]]

REFUSING = "127.0.0.1:1"
"""A port that nobody but root may listen on, and nobody does."""

# -- connecting --------------------------------------------------------------------------------------


async def connecting(scene: Scene) -> Subject:
    return Subject.of(scene.connect_slowly())


async def connected(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    return Subject.of(socket)


async def refused(scene: Scene) -> Subject:
    return Subject.of(scene.connect(REFUSING))


async def name_not_found(scene: Scene) -> Subject:
    return Subject.of(scene.connect("nobody.invalid:80", dialer=DirectDialer(resolver=StaticResolver({}))))


async def denied(scene: Scene) -> Subject:
    return Subject.of(scene.connect_denied())


async def connect_timed_out(scene: Scene) -> Subject:
    return Subject.of(scene.connect_slowly(connect_timeout_s=0.01))


async def untrusted(scene: Scene) -> Subject:
    socket = scene.connect(secure_transport="on", tls=scene.tls.options)
    await refuse_handshake(scene, await scene.accept())
    return Subject.of(socket)


async def handshake_cut(scene: Scene) -> Subject:
    socket = scene.connect(secure_transport="on", tls=scene.tls.options)
    peer = await scene.accept()
    await peer.receive()
    await peer.send_eof()
    return Subject.of(socket)


async def handshake_stalled(scene: Scene) -> Subject:
    socket = scene.connect(secure_transport="on", tls=scene.tls.options, connect_timeout_s=0.05)
    await scene.accept()
    return Subject.of(socket)


async def refuse_handshake(scene: Scene, peer: RawPeer) -> None:
    """Show a certificate that the client cannot trust."""
    with pytest.raises((OSError, EOFError)):
        await TlsPeer(peer, scene.tls.untrusted).handshake()


# -- the peer ends -----------------------------------------------------------------------------------


def ending_peer(meet: Callable[[Scene, Socket], Awaitable[None]]) -> Callable[[bool], Play]:
    """Make the plays of a FIN that is met in some way, for both values of ``allow_half_open``."""

    def choose(half_open: bool) -> Play:
        async def play(scene: Scene) -> Subject:
            socket, peer = await scene.open(allow_half_open=half_open)
            await peer.send(b"the last words")
            await peer.send_eof()
            await meet(scene, socket)
            return Subject.of(socket)

        return play

    return choose


async def by_read(_: Scene, socket: Socket) -> None:
    while await socket.readable.read():
        pass


async def by_read_into(_: Scene, socket: Socket) -> None:
    buffer = bytearray(100)
    while await socket.readable.read_into(buffer):
        pass


async def by_async_for(_: Scene, socket: Socket) -> None:
    async for chunk in socket.readable:
        assert chunk


async def by_reader(_: Scene, socket: Socket) -> None:
    reader = socket.readable.get_reader()
    while await reader.read():
        pass
    reader.release_lock()


async def by_pipe(scene: Scene, socket: Socket) -> None:
    sink, _ = await scene.open()
    await socket.readable.pipe_to(sink.writable)


async def by_tee(_: Scene, socket: Socket) -> None:
    # The source stays locked by the tee, so the branches are what the table looks at.
    first, second = socket.readable.tee()
    socket._readable = first
    assert [chunk async for chunk in second] == [b"the last words"]
    assert [chunk async for chunk in first] == [b"the last words"]


fin_met_by_read = ending_peer(by_read)
fin_met_by_read_into = ending_peer(by_read_into)
fin_met_by_async_for = ending_peer(by_async_for)
fin_met_by_reader = ending_peer(by_reader)
fin_met_by_pipe = ending_peer(by_pipe)
fin_met_by_tee = ending_peer(by_tee)


def fin_unread(half_open: bool) -> Play:
    async def play(scene: Scene) -> Subject:
        socket, peer = await scene.open(allow_half_open=half_open)
        await peer.send_eof()
        return Subject.of(socket)

    return play


def fin_behind_bytes(half_open: bool) -> Play:
    async def play(scene: Scene) -> Subject:
        socket, peer = await scene.open(allow_half_open=half_open)
        await peer.send(b"unread")
        await peer.send_eof()
        await turns()
        return Subject.of(socket)

    return play


async def fin_then_close(scene: Scene) -> Subject:
    socket, peer = await scene.open(allow_half_open=True)
    await peer.send_eof()
    assert await socket.readable.read() == b""
    await socket.writable.close()
    return Subject.of(socket)


async def write_closed(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await socket.writable.close()
    return Subject.of(socket)


def close_then_fin(half_open: bool) -> Play:
    async def play(scene: Scene) -> Subject:
        socket, peer = await scene.open(allow_half_open=half_open)
        await socket.writable.close()
        assert await peer.receive() == b""
        await peer.send_eof()
        return Subject.of(socket)

    return play


def tls_close_notify(half_open: bool) -> Play:
    async def play(scene: Scene) -> Subject:
        socket, peer = await scene.open_tls(allow_half_open=half_open)
        await peer.send_eof()
        return Subject.of(socket)

    return play


async def tls_half_close(scene: Scene) -> Subject:
    socket, peer = await scene.open_tls()
    await socket.writable.close()
    assert await peer.receive() == b""
    await peer.send(b"the rest")
    await peer.send_eof()
    return Subject.of(socket)


# -- the connection breaks ---------------------------------------------------------------------------


async def reset_while_reading(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    reading = asyncio.create_task(socket.readable.read())
    await turns()
    peer.abort()
    with pytest.raises(ConnectionError):
        await reading
    return Subject.of(socket)


async def reset_unread(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    peer.abort()
    return Subject.of(socket)


async def reset_behind_bytes(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await peer.send(b"unread")
    await turns()
    peer.abort()
    return Subject.of(socket)


async def reset_then_close(scene: Scene) -> Subject:
    subject = await reset_behind_bytes(scene)
    assert subject.socket is not None
    with pytest.raises(ConnectionError):
        await subject.socket.closed
    with pytest.raises(ConnectionError):
        await subject.socket.close()
    return subject


async def reset_after_write_closed(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await socket.writable.close()
    assert await peer.receive() == b""
    peer.abort()
    return Subject.of(socket)


async def reset_after_fin(scene: Scene) -> Subject:
    socket, peer = await scene.open(allow_half_open=True)
    await peer.send_eof()
    assert await socket.readable.read() == b""
    peer.abort()
    return Subject.of(socket)


async def truncated_read(scene: Scene) -> Subject:
    socket, peer = await scene.open_tls()
    reading = asyncio.create_task(socket.readable.read())
    await turns()
    await peer.raw.send_eof()
    await asyncio.wait([reading])
    assert reading.exception()
    return Subject.of(socket)


async def truncated_unread(scene: Scene) -> Subject:
    socket, peer = await scene.open_tls()
    await peer.raw.send_eof()
    return Subject.of(socket)


async def truncated_behind_bytes(scene: Scene) -> Subject:
    socket, peer = await scene.open_tls()
    await peer.send(b"unread")
    await peer.raw.send_eof()
    await turns()
    return Subject.of(socket)


async def damaged_record(scene: Scene) -> Subject:
    socket, peer = await scene.open_tls()
    record = bytearray(peer.engine.records(b"never arrives"))
    record[-1] ^= 1
    await peer.raw.send(bytes(record))
    return Subject.of(socket)


# -- this side ends ----------------------------------------------------------------------------------


async def closed(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    socket.close()
    return Subject.of(socket)


async def block_left(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    async with socket:
        await socket.writable.write(b"hello")
    return Subject.of(socket)


async def queueing(scene: Scene) -> tuple[Socket, RawPeer]:
    """Open a socket and give it more than the peer takes."""
    socket, peer = await scene.open(high_water_mark=2 * len(BIG))
    await socket.writable.write(BIG)
    return socket, peer


async def close_queued(scene: Scene) -> Subject:
    socket, _ = await queueing(scene)
    socket.close()
    return Subject.of(socket)


async def close_flushed(scene: Scene) -> Subject:
    socket, peer = await queueing(scene)
    socket.close()
    received, end = await peer.receive_until_end()
    assert (len(received), end) == (len(BIG), "eof")
    return Subject.of(socket)


async def close_timed_out(scene: Scene) -> Subject:
    socket, _ = await queueing(scene)
    socket.close(timeout_s=0.01)
    return Subject.of(socket)


async def close_reset(scene: Scene) -> Subject:
    socket, peer = await queueing(scene)
    socket.close()
    peer.abort()
    return Subject.of(socket)


async def close_after_refused(scene: Scene) -> Subject:
    socket = scene.connect(REFUSING)
    with pytest.raises(ConnectError):
        await socket.opened
    with pytest.raises(ConnectError):
        await socket.close()
    return Subject.of(socket)


async def closed_connecting(scene: Scene) -> Subject:
    socket = scene.connect_slowly()
    await turns()
    socket.close()
    return Subject.of(socket)


async def aborted(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    socket.abort()
    return Subject.of(socket)


async def aborted_connecting(scene: Scene) -> Subject:
    socket = scene.connect_slowly()
    await turns()
    socket.abort()
    return Subject.of(socket)


async def block_failed(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    with pytest.raises(LookupError):
        async with socket:
            raise LookupError
    return Subject.of(socket)


async def signalled(scene: Scene) -> Subject:
    controller = AbortController()
    socket, _ = await scene.open(signal=controller.signal)
    controller.abort("enough")
    return Subject.of(socket)


async def signalled_connecting(scene: Scene) -> Subject:
    controller = AbortController()
    socket = scene.connect_slowly(signal=controller.signal)
    await turns()
    controller.abort("enough")
    return Subject.of(socket)


async def cancelled(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await socket.readable.cancel()
    return Subject.of(socket)


def cancel_then_fin(half_open: bool) -> Play:
    async def play(scene: Scene) -> Subject:
        socket, peer = await scene.open(allow_half_open=half_open)
        await socket.readable.cancel()
        await peer.send(b"nobody wants this")
        await peer.send_eof()
        return Subject.of(socket)

    return play


async def cancel_and_close(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await socket.readable.cancel()
    await socket.writable.close()
    return Subject.of(socket)


async def write_aborted(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await socket.writable.abort()
    return Subject.of(socket)


async def write_aborted_then_fin(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await socket.writable.abort()
    await peer.send_eof()
    return Subject.of(socket)


async def write_aborted_then_close(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await socket.writable.abort()
    socket.close()
    assert await peer.receive_until_end() == (b"", "reset")
    return Subject.of(socket)


async def abort_and_cancel(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await socket.writable.abort()
    await socket.readable.cancel()
    assert await peer.receive_until_end() == (b"", "reset")
    return Subject.of(socket)


async def dropped(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    subject = Subject(socket.opened, socket.closed, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scene.forget()
        del socket
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert await peer.receive_until_end() == (b"", "reset")
    return subject


# -- start_tls() -------------------------------------------------------------------------------------


async def upgraded_old(scene: Scene) -> Subject:
    old, _ = await scene.upgrade()
    return Subject.of(old)


async def upgraded_new(scene: Scene) -> Subject:
    _, new = await scene.upgrade()
    return Subject.of(new)


async def upgrading_new(scene: Scene) -> Subject:
    old, _ = await scene.open(secure_transport="starttls", tls=scene.tls.options)
    return Subject.of(scene.adopt(old.start_tls()))


async def upgrade_failed(scene: Scene) -> tuple[Socket, Socket]:
    """Upgrade; the peer shows a certificate that is not trusted."""
    old, peer = await scene.open(secure_transport="starttls", tls=scene.tls.options)
    new = scene.adopt(old.start_tls())
    await refuse_handshake(scene, peer)
    return old, new


async def upgrade_failed_old(scene: Scene) -> Subject:
    old, _ = await upgrade_failed(scene)
    return Subject.of(old)


async def upgrade_failed_new(scene: Scene) -> Subject:
    _, new = await upgrade_failed(scene)
    return Subject.of(new)


async def upgrade_injected(scene: Scene) -> Subject:
    old, peer = await scene.open(secure_transport="starttls", tls=scene.tls.options)
    await peer.send(b"220 believe me\r\n")
    await turns()
    return Subject.of(scene.adopt(old.start_tls()))


async def upgrade_closed(scene: Scene) -> Subject:
    subject = await upgrading_new(scene)
    await turns()
    assert subject.socket is not None
    subject.socket.close()
    return subject


async def upgrade_refused_old(scene: Scene) -> Subject:
    old = scene.connect(REFUSING, secure_transport="starttls")
    scene.adopt(old.start_tls())
    return Subject.of(old)


async def upgrade_refused_new(scene: Scene) -> Subject:
    old = scene.connect(REFUSING, secure_transport="starttls")
    return Subject.of(scene.adopt(old.start_tls()))


async def upgrade_not_allowed(scene: Scene) -> Subject:
    socket, _ = await scene.open(secure_transport="starttls", tls=scene.tls.options)
    writer = socket.writable.get_writer()
    with pytest.raises(UsageError):
        socket.start_tls()
    writer.release_lock()
    return Subject.of(socket)


# -- a task is cancelled -----------------------------------------------------------------------------


async def cancel_opened(scene: Scene) -> Subject:
    socket = scene.connect_slowly()
    await scene.cancel_waiting(socket.opened)
    return Subject.of(socket)


async def cancel_closed(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await scene.cancel_waiting(socket.closed)
    return Subject.of(socket)


async def cancel_read(scene: Scene) -> Subject:
    socket, _ = await scene.open()
    await scene.cancel_waiting(socket.readable.read())
    return Subject.of(socket)


async def cancel_write(scene: Scene) -> Subject:
    socket, peer = await scene.open()
    await scene.cancel_waiting(socket.writable.write(BIG))
    assert await peer.receive_exactly(len(BIG)) == BIG
    return Subject.of(socket)


async def cancel_close(scene: Scene) -> Subject:
    socket, peer = await queueing(scene)
    await scene.cancel_waiting(socket.close())
    received, end = await peer.receive_until_end()
    assert (len(received), end) == (len(BIG), "eof")
    return Subject.of(socket)
