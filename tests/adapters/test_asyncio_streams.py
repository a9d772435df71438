"""``Socket.as_asyncio_streams()``: what programs written for asyncio's streams do with the pair."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import (
    ResetError,
    TlsError,
    UsageError,
)
from tests.link import BIG, turns

if TYPE_CHECKING:
    from tests.link import Link


async def test_every_way_to_read(link: Link) -> None:
    async with link(allow_half_open=True) as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        await peer.send(b"a line\nuntil;exactly and the rest\nof it\nlast")
        assert await reader.readline() == b"a line\n"
        assert await reader.readuntil(b";") == b"until;"
        assert await reader.readexactly(7) == b"exactly"
        assert await reader.read(4) == b" and"
        assert await reader.read(0) == b""
        assert not reader.at_eof()
        await peer.send_eof()
        assert [line async for line in reader] == [b" the rest\n", b"of it\n", b"last"]
        assert reader.at_eof()
        assert await reader.read() == b""
        assert await reader.read(10) == b""
        assert reader.exception() is None


async def test_read_without_a_number_reads_to_the_end(link: Link) -> None:
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        sending = asyncio.ensure_future(peer.send(BIG))
        sending.add_done_callback(lambda _: asyncio.ensure_future(peer.send_eof()))
        assert await reader.read() == BIG


async def test_an_end_inside_a_message_is_incomplete(link: Link) -> None:
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        await peer.send(b"half")
        await peer.send_eof()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(8)
        assert caught.value.partial == b"half"


async def test_a_reset_is_raised_after_what_came_before_it(link: Link) -> None:
    """K5: failure is never reported as end-of-file."""
    async with link() as (socket, peer):
        reader, writer = socket.as_asyncio_streams()
        await peer.send(b"line\nhalf")
        assert await reader.readline() == b"line\n"
        peer.abort()
        for _ in range(2):
            with pytest.raises(ResetError):
                await reader.readexactly(8)
        assert await reader.read(4) == b"half"
        assert isinstance(reader.exception(), ResetError)
        assert not reader.at_eof()
        with pytest.raises(ResetError):
            await reader.read()
        with pytest.raises(ResetError):
            await writer.drain()
        with pytest.raises(ResetError):
            await writer.wait_closed()


@pytest.mark.parametrize("link", ["tls"], indirect=True)
async def test_a_cut_tls_stream_is_no_end_of_file(link: Link) -> None:
    """K5: TCP's end without close_notify is truncation."""
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        await peer.send(b"half")
        peer.close()
        with pytest.raises(TlsError) as caught:
            await reader.read()
        assert caught.value.truncated


async def test_bytes_are_pulled(link: Link) -> None:
    """K12: nothing is read that nobody asked for, and no more than asked for."""
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        sending = asyncio.ensure_future(peer.send(BIG))
        assert await reader.read(3) == BIG[:3]
        await turns()
        assert not sending.done()
        assert "0 bytes buffered" in repr(reader)
        received = 3
        while received < len(BIG):
            received += len(await reader.read(1 << 20))
        await sending


async def test_a_line_above_the_limit_is_an_error_and_bounded(link: Link) -> None:
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams(limit_bytes=64)
        sending = asyncio.ensure_future(peer.send(bytes(200) + b"\nnext\n"))
        with pytest.raises(asyncio.LimitOverrunError):
            await reader.readuntil(b"\n")
        with pytest.raises(ValueError, match="limit"):
            await reader.readline()
        await sending


async def test_a_cancelled_read_loses_nothing(link: Link) -> None:
    """K13."""
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        reading = asyncio.ensure_future(reader.readline())
        await peer.send(b"half")
        while reader._buffer != b"half":  # type: ignore[attr-defined]  # asyncio's own
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await peer.send(b" line\n")
        assert await reader.readline() == b"half line\n"


async def test_only_one_task_reads(link: Link) -> None:
    async with link() as (socket, peer):
        reader, _ = socket.as_asyncio_streams()
        reading = asyncio.ensure_future(reader.readline())
        await turns()
        with pytest.raises(UsageError, match="pending"):
            await reader.read(1)
        await peer.send(b"line\n")
        assert await reading == b"line\n"
