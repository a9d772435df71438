"""``longshore.adapters.protocol``: an ``asyncio.Protocol`` over ``connect()``, call by call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore import ClosedError, ResetError, TlsError, connect
from longshore.adapters.protocol import ProtocolTransport
from tests.adapters.recorder import BufferedRecorder, Notes, Recorder, driven
from tests.link import BIG, turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.link import Link


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder, partial(BufferedRecorder, buffer_bytes=5)])
async def test_bytes_arrive_and_leave(link: Link, factory: Callable[[], Notes]) -> None:
    async with driven(link, factory) as (transport, protocol, peer):
        assert protocol.calls == ["made"]
        assert protocol.transport is transport
        assert transport.get_protocol() is protocol
        transport.write(b"one ")
        transport.writelines([b"two ", b"three"])
        received = b""
        while len(received) < 13:
            received += await peer.receive()
        assert received == b"one two three"
        await peer.send(b"four five six")
        assert await protocol.until_received(13) == b"four five six"


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
async def test_the_end_of_the_peer_ends_the_connection(link: Link, factory: type[Notes]) -> None:
    async with driven(link, factory) as (transport, protocol, peer):
        await peer.send(b"last")
        await peer.send_eof()
        await protocol.until("lost")
        assert [call for call in protocol.calls if call != "data"] == ["made", "eof", "lost"]
        assert protocol.calls[-2:] == ["eof", "lost"]
        assert protocol.received == b"last"
        assert protocol.error is None
        assert transport.is_closing()
        assert await peer.receive() == b""


async def test_half_open_when_the_protocol_wants_it(link: Link) -> None:
    """K10: also under TLS, where asyncio ignores the answer of ``eof_received``."""
    async with driven(link, lambda: Recorder(keep_open=True)) as (transport, protocol, peer):
        await peer.send_eof()
        await protocol.until("eof")
        await turns()
        assert not transport.is_closing()
        transport.write(b"still here")
        assert await peer.receive() == b"still here"
        transport.close()
        await protocol.until("lost")
        assert protocol.error is None
        assert await peer.receive() == b""


async def test_write_eof_leaves_reading_open(link: Link) -> None:
    """K10."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        assert transport.can_write_eof()
        transport.write(b"question")
        transport.write_eof()
        assert await peer.receive_until_end() == (b"question", "eof")
        with pytest.raises(RuntimeError, match="write_eof"):
            transport.write(b"late")
        await peer.send(b"answer")
        await peer.send_eof()
        await protocol.until("lost")
        assert protocol.calls == ["made", "data", "eof", "lost"]
        assert protocol.received == b"answer"
        assert protocol.error is None


async def test_a_reset_is_given_to_connection_lost(link: Link) -> None:
    """K5: never None after a failure, and never an end-of-file."""
    async with driven(link, Recorder) as (_, protocol, peer):
        await peer.send(b"half")
        await protocol.until_received(4)
        peer.abort()
        await protocol.until("lost")
        assert isinstance(protocol.error, ResetError)
        assert "eof" not in protocol.calls


@pytest.mark.parametrize("link", ["tls"], indirect=True)
async def test_a_cut_tls_stream_is_given_to_connection_lost(link: Link) -> None:
    """K5."""
    async with driven(link, Recorder) as (_, protocol, peer):
        peer.close()
        await protocol.until("lost")
        assert isinstance(protocol.error, TlsError)
        assert "eof" not in protocol.calls


async def test_close_flushes_and_delivers_no_more(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.write(BIG)
        await peer.send(b"unwanted")
        transport.close()
        transport.close()
        assert transport.is_closing()
        received, end = await peer.receive_until_end()
        assert (received == BIG, end) == (True, "eof")
        await protocol.until("lost")
        assert protocol.error is None
        assert "data" not in protocol.calls
        assert protocol.calls.count("lost") == 1


async def test_abort_resets(link: Link) -> None:
    """As asyncio says, it gives None: this side wanted it."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.abort()
        assert protocol.calls == ["made"]
        await protocol.until("lost")
        assert protocol.error is None
        assert await peer.receive_until_end() == (b"", "reset")
        transport.abort()
        transport.close()
        await turns()
        assert protocol.calls == ["made", "lost"]


async def test_whoever_aborts_the_socket_is_named(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, _):
        transport.socket.abort("enough")
        await protocol.until("lost")
        assert isinstance(protocol.error, ClosedError)
        assert protocol.error.reason == "enough"


async def test_another_protocol_takes_over(link: Link) -> None:
    async with driven(link, Recorder) as (transport, first, peer):
        await turns()
        transport.pause_reading()
        await peer.send(b"for the second")
        await turns()
        second = BufferedRecorder()
        transport.set_protocol(second)
        transport.resume_reading()
        assert await second.until_received(14) == b"for the second"
        transport.close()
        await second.until("lost")
        assert first.calls == ["made"]


async def test_a_socket_that_is_there_can_be_driven(link: Link) -> None:
    """K7: without the option ``allow_half_open`` the peer's end closes the write side, whatever the protocol says."""
    async with link() as (socket, peer):
        protocol = Recorder(keep_open=True)
        ProtocolTransport(socket, protocol).start()
        await peer.send_eof()
        await protocol.until("lost")
        assert protocol.calls == ["made", "eof", "lost"]
        assert protocol.error is None


async def test_repr_names_the_socket() -> None:
    socket = connect("127.0.0.1:9")
    assert repr(ProtocolTransport(socket, Recorder())) == f"<ProtocolTransport over {socket!r}>"
    socket.abort()
