"""Every implementation of ``ByteStream`` against the conformance kit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.net.streams import FdStream
from longshore.net.tls import TlsStream
from longshore.testing import STREAM_CHECKS, StreamCheck, StreamDriver, memory_stream_pair, run_check
from tests.testing.raw import RawPeer, RawServer
from tests.testing.tls_peer import NAME, TlsPeer, TlsVersion, client_context, server_context

if TYPE_CHECKING:
    from longshore.abc import ByteStream
    from longshore.testing import MakePair, StreamPeer


async def memory() -> tuple[ByteStream, StreamPeer]:
    near, far = memory_stream_pair()
    return near, StreamDriver(far)


async def tcp() -> tuple[FdStream, RawPeer]:
    loop = asyncio.get_running_loop()
    with RawServer() as server:
        client = await RawPeer.connect(server.address)
        return FdStream(client.sock, loop, server.address), await server.accept()


async def tls(version: TlsVersion) -> tuple[TlsStream, TlsPeer]:
    inner, raw = await tcp()
    stream = TlsStream(inner, client_context(), NAME, NAME)
    peer = TlsPeer(raw, server_context(version))

    async def handshake() -> None:
        await stream.handshake()
        assert stream.flush()

    await asyncio.gather(peer.handshake(), handshake())
    return stream, peer


async def tls_1_2() -> tuple[ByteStream, StreamPeer]:
    return await tls("TLSv1.2")


async def tls_1_3() -> tuple[ByteStream, StreamPeer]:
    return await tls("TLSv1.3")


MAKERS = [memory, tcp, tls_1_2, tls_1_3]


@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make_pair", MAKERS, ids=lambda make: make.__name__)
async def test_the_contract_is_kept(make_pair: MakePair, check: StreamCheck) -> None:
    await run_check(check, make_pair, timeout_s=20.0)
