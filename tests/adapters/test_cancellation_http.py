"""K13 for httpcore and httpx: each coroutine is cancelled at each of its suspensions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from longshore.adapters.httpcore_backend import OneSocketBackend, httpx_transport
from tests.adapters.http_app import HttpApp, HttpProxy
from tests.sweep import MODES, Attempt, sweep

if TYPE_CHECKING:
    import ssl

    from tests.link import Link

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))

BIG = bytes(range(256)) * 2048
"""512 KiB: several times what the small receive buffer of the server takes."""


@modes
async def test_httpcore_aclose(link: Link, mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with link(high_water_mark=len(BIG) * 9) as (socket, peer):
            stream = await OneSocketBackend(socket).connect_tcp("unused", 1)
            await stream.write(BIG * 8)
            receiving = asyncio.ensure_future(peer.receive_until_end())
            await attempt.run(stream.aclose())
            await receiving
            assert socket.closed.done()

    assert await sweep(play, mode) >= 1


@modes
@pytest.mark.parametrize("proxy_is_tls", [None, False, True])
async def test_a_whole_request(
    server_ssl_context: ssl.SSLContext, client_context: ssl.SSLContext, proxy_is_tls: bool | None, mode: str
) -> None:
    """Httpx over us, straight and through a proxy; after a cancellation the same client goes on."""

    async def play(attempt: Attempt) -> None:
        async with (
            HttpApp(server_ssl_context) as app,
            HttpProxy(server_ssl_context if proxy_is_tls else None) as proxy,
        ):
            url = f"https://localhost:{app.port}/echo"
            via = f"{'https' if proxy_is_tls else 'http'}://localhost:{proxy.port}"
            transport = httpx_transport(
                verify=client_context,
                proxy=None
                if proxy_is_tls is None
                else httpx.Proxy(via, ssl_context=client_context if proxy_is_tls else None),
            )
            async with httpx.AsyncClient(transport=transport) as client:
                await attempt.run(client.post(url, content=BIG))
                assert (await client.post(url, content=BIG)).content == BIG

    assert await sweep(play, mode) >= 5
