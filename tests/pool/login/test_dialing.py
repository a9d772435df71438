"""Sockets to databases: by name, and so that the death of the other side is noticed."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from longshore.pool.servers.dialing import DIRECT
from tests.server_process import HOST, free_port


async def _listen() -> asyncio.Server:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return await asyncio.start_server(close, HOST, 0)


async def test_a_name_and_an_address() -> None:
    async with await _listen() as server:
        port = server.sockets[0].getsockname()[1]
        for host in (HOST, "localhost"):
            sock = await DIRECT.dial(host, port)
            assert sock.getpeername()[:2] == (HOST, port)
            assert not sock.getblocking()
            sock.close()
            await asyncio.sleep(0.01)  # the server's own side


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other names for it")
async def test_a_peer_that_is_gone_without_a_word_is_noticed() -> None:
    async with await _listen() as server:
        sock = await DIRECT.dial(HOST, server.sockets[0].getsockname()[1])
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        probes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        between_s = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        silent_s = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert silent_s + probes * between_s <= 120
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        sock.close()
        await asyncio.sleep(0.01)  # the server's own side


async def test_nobody_is_there() -> None:
    with pytest.raises(ConnectionError, match="Connection refused"):
        await DIRECT.dial(HOST, free_port())
