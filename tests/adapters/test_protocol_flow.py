"""``longshore.adapters.protocol``: whoever is too fast waits, in both directions (rule K12)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import ResetError
from tests.adapters.recorder import BufferedRecorder, Notes, Recorder, driven
from tests.link import BIG, turns

if TYPE_CHECKING:
    from tests.link import Link


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
async def test_reading_can_be_paused(link: Link, factory: type[Notes]) -> None:
    """K12: the peer is slowed down, and at most one chunk is held."""
    async with driven(link, factory) as (transport, protocol, peer):
        assert transport.is_reading()
        await turns()  # now a read is pending
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        sending = asyncio.ensure_future(peer.send(BIG))
        await turns()
        assert not sending.done()
        assert not protocol.received
        transport.resume_reading()
        transport.resume_reading()
        await sending
        assert await protocol.until_received(len(BIG)) == BIG


async def test_reading_can_be_paused_from_within(link: Link) -> None:
    class OneByOne(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.pause_reading()

    async with driven(link, OneByOne) as (transport, protocol, peer):
        sending = asyncio.ensure_future(peer.send(BIG))
        count = 0
        while len(protocol.received) < len(BIG):
            count += 1
            while protocol.calls.count("data") < count:
                await asyncio.sleep(0)
            await turns(3)
            assert protocol.calls.count("data") == count
            transport.resume_reading()
        await sending
        assert protocol.received == BIG


async def test_the_end_waits_while_reading_is_paused(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, peer):
        await turns()
        transport.pause_reading()
        await peer.send(b"last")
        await peer.send_eof()
        await turns()
        assert protocol.calls == ["made"]
        transport.resume_reading()
        await protocol.until("lost")
        assert protocol.calls == ["made", "data", "eof", "lost"]
        assert protocol.error is None


async def test_what_came_before_a_reset_is_delivered_when_reading_goes_on(link: Link) -> None:
    """K7: the reset is noticed while nobody reads, and hides nothing."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.pause_reading()
        await turns()
        await peer.send(b"first ")
        await turns()
        await peer.send(b"second")
        peer.abort()
        with pytest.raises(ResetError):
            await transport.socket.closed
        await turns()
        assert protocol.calls == ["made"]
        transport.resume_reading()
        await protocol.until("lost")
        assert protocol.received == b"first second"
        assert isinstance(protocol.error, ResetError)


async def test_a_reset_reaches_a_writer_while_reading_is_paused(link: Link) -> None:
    """Whoever writes must hear of it, though what was not read is then given up."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.pause_reading()
        await peer.send(b"unread")
        await turns()
        peer.abort()
        with pytest.raises(ResetError):
            await transport.socket.closed
        await turns()
        assert protocol.calls == ["made"]
        transport.write(b"more")
        await protocol.until("lost")
        assert isinstance(protocol.error, ResetError)
        transport.resume_reading()
        await turns()
        assert protocol.calls == ["made", "lost"]


async def test_a_writer_is_held_back_and_let_go(link: Link) -> None:
    """K12."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=1000, low=100)
        assert transport.get_write_buffer_limits() == (100, 1000)
        transport.write(BIG)
        assert protocol.calls == ["made", "pause"]
        transport.write(b"!")
        assert protocol.calls == ["made", "pause"]
        received = 0
        while received < len(BIG) + 1:
            received += len(await peer.receive())
        await protocol.until("resume")
        assert transport.get_write_buffer_size() <= 100


async def test_a_writer_that_is_held_back_is_let_go_after_its_end(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.write(BIG)
        transport.write_eof()
        await turns()
        assert protocol.calls == ["made", "pause"]
        received, end = await peer.receive_until_end()
        assert (len(received), end) == (len(BIG), "eof")
        await protocol.until("resume")


async def test_a_writer_that_is_held_back_hears_of_a_reset(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, peer):
        transport.pause_reading()
        transport.write(BIG)
        await peer.send(b"unread")
        peer.abort()
        await protocol.until("lost")
        assert protocol.calls == ["made", "pause", "lost"]
        assert isinstance(protocol.error, ResetError)


async def test_a_lower_limit_holds_back_at_once(link: Link) -> None:
    async with driven(link, Recorder) as (transport, protocol, _):
        transport.set_write_buffer_limits(high=2 * len(BIG))
        transport.write(BIG)
        assert protocol.calls == ["made"]
        transport.set_write_buffer_limits(high=0)
        assert protocol.calls == ["made", "pause"]
