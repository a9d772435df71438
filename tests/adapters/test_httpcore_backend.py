"""httpx and httpcore over ``connect()``: pools, timeouts, errors, proxies."""

from __future__ import annotations

import asyncio
import importlib
import socket as socket_module
import sys
from typing import TYPE_CHECKING

import anyio
import httpcore
import httpx
import pytest

from longshore import (
    ArgumentValueError,
    ConnectError,
    DirectDialer,
    EgressPolicy,
    PolicyDenied,
    ResetError,
    ResolveError,
    connect,
)
from longshore.adapters.httpcore_backend import LongshoreBackend, OneSocketBackend, httpx_transport, socket_error_of
from longshore.testing import MemoryDialer, RoutedDialer, StaticResolver
from tests.adapters.http_app import HttpApp, HttpProxy
from tests.link import BIG, turns
from tests.server_process import HOST, free_port
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl

    from tests.link import Link


async def test_a_client_with_its_pool(client_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext) -> None:
    transport = httpx_transport(verify=client_context)
    async with (
        HttpApp() as plain,
        HttpApp(server_ssl_context) as secure,
        httpx.AsyncClient(transport=transport) as client,
    ):
        urls = [f"http://localhost:{plain.port}/ping", f"https://localhost:{secure.port}/ping"] * 4
        responses = await asyncio.gather(*(client.get(url) for url in urls))
        assert [response.text for response in responses] == ["pong"] * 8
        before = plain.connection_count
        for _ in range(3):
            response = await client.get(urls[0])
            stream = response.extensions["network_stream"]
            assert stream.get_extra_info("ssl_object") is None
        assert plain.connection_count == before
        response = await client.post(urls[1].replace("ping", "echo"), content=BIG)
        assert response.content == BIG
        assert response.extensions["network_stream"].get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    """It tells httpcore so by ``is_readable``, which looks through TLS too."""
    async with HttpApp() as app, httpx.AsyncClient(transport=httpx_transport()) as client:
        for count in (1, 2):
            response = await client.get(f"http://127.0.0.1:{app.port}/last")
            assert response.text == "bye"
            assert app.connection_count == count


@pytest.mark.parametrize("end", ["send_eof", "abort"])
async def test_an_idle_connection_that_ends_is_replaced(link: Link, client_context: ssl.SSLContext, end: str) -> None:
    with RawServer() as server:
        _, port = server.address.split(":")
        url = f"{'https' if link.is_tls else 'http'}://localhost:{port}/"
        async with httpx.AsyncClient(transport=httpx_transport(verify=client_context)) as client:
            for _ in range(2):
                getting = asyncio.ensure_future(client.get(url))
                async with await link.accept(server) as peer:
                    assert await peer.receive()
                    await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                    response = await getting
                    stream = response.extensions["network_stream"]
                    assert not stream.get_extra_info("is_readable")
                    if end == "abort":
                        peer.abort()
                    else:
                        await peer.send_eof()
                    while not stream.get_extra_info("is_readable"):
                        await asyncio.sleep(0)


async def test_why_there_is_no_connection() -> None:
    """Each is httpx's ``ConnectError``, and ours is behind it."""
    resolver = StaticResolver({"inside.example": ["10.0.0.1"]})
    policed = DirectDialer(resolver=resolver, policy=EgressPolicy())
    for dialer, url, cause in (
        (None, f"http://{HOST}:{free_port()}/", ConnectError),
        (policed, "http://inside.example/", PolicyDenied),
        (policed, "http://nowhere.example/", ResolveError),
        (None, "http://two..dots/", ArgumentValueError),
    ):
        async with httpx.AsyncClient(transport=httpx_transport(dialer=dialer)) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get(url)
            error = socket_error_of(caught.value)
            assert isinstance(error, cause)
            assert str(caught.value) == str(error)


async def test_why_a_connection_broke() -> None:
    """The pool closes the socket while it handles the error, which must not part it from its cause."""
    async with HttpApp() as app, httpx.AsyncClient(transport=httpx_transport()) as client:
        with pytest.raises(httpx.ReadError) as caught:
            await client.get(f"http://127.0.0.1:{app.port}/destroy")
        assert isinstance(socket_error_of(caught.value), ResetError)


async def test_connecting_has_its_timeout() -> None:
    dialer = MemoryDialer()
    dialer.hang()
    async with httpx.AsyncClient(transport=httpx_transport(dialer=dialer)) as client:
        for timeout_s in (0.01, 0.0):
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("http://far.example/", timeout=timeout_s)


async def test_a_connect_that_fails_is_tried_again() -> None:
    dialer = MemoryDialer()
    dialer.fail_with(ConnectError("cannot connect: the test says so"))
    transport = httpx_transport(dialer=dialer, retries=1)
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://far.example/")
    assert len(dialer.requests) == 2


async def test_a_cancelled_request_leaves_nothing_open(client_context: ssl.SSLContext) -> None:
    """K13: while it resolves, in the handshake, while it sends, while it waits for the answer."""
    resolver = StaticResolver({"slow.example": [HOST]}, gate=asyncio.Event())
    async with httpx.AsyncClient(transport=httpx_transport(dialer=DirectDialer(resolver=resolver))) as client:
        with anyio.move_on_after(0.01):
            await client.get("http://slow.example/")
    with RawServer(receive_buffer_bytes=4096) as server:
        async with httpx.AsyncClient(transport=httpx_transport(verify=client_context), timeout=None) as client:
            for scheme, content in (("https", b""), ("http", BIG), ("http", b"")):
                sending = asyncio.ensure_future(client.post(f"{scheme}://{server.address}/", content=content))
                async with await server.accept() as raw:
                    assert await raw.receive()
                    await turns()
                    sending.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await sending
                    _, end = await raw.receive_until_end()
                    assert end == ("reset" if scheme == "https" or content else "eof")


async def test_options_reach_the_socket() -> None:
    async with HttpApp() as app:
        transport = httpx_transport(
            local_address="127.0.0.1",
            socket_options=[(socket_module.SOL_SOCKET, socket_module.SO_KEEPALIVE, 1)],
        )
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.get(f"http://127.0.0.1:{app.port}/ping")
            sock = response.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket_module.SOL_SOCKET, socket_module.SO_KEEPALIVE) == 1
            assert sock.getsockname()[0] == "127.0.0.1"


async def test_options_that_cannot_be_set_are_an_error() -> None:
    async with HttpApp() as app:
        for dialer, match in ((None, "socket option .*Errno"), (MemoryDialer(), "no socket")):
            transport = httpx_transport(dialer=dialer, socket_options=[(socket_module.SOL_SOCKET, 9999, 1)])
            async with httpx.AsyncClient(transport=transport) as client:
                with pytest.raises(httpx.ConnectError, match=match):
                    await client.get(f"http://127.0.0.1:{app.port}/ping")


async def test_ipv6_literals() -> None:
    async with HttpApp() as app:
        dialer = RoutedDialer({"[2001:db8::1]:80": f"{HOST}:{app.port}"})
        async with httpx.AsyncClient(transport=httpx_transport(dialer=dialer)) as client:
            assert (await client.get("http://[2001:db8::1]/ping")).text == "pong"


async def test_unix_sockets_are_refused() -> None:
    async with httpx.AsyncClient(transport=httpx_transport(uds="/run/app.sock")) as client:
        with pytest.raises(httpx.UnsupportedProtocol, match=r"'/run/app\.sock'.*TCP"):
            await client.get("http://app.example/")


@pytest.mark.parametrize("proxy_is_tls", [False, True])
async def test_https_through_a_proxy(
    client_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext, proxy_is_tls: bool
) -> None:
    """Through an HTTPS proxy it is TLS inside TLS."""
    async with (
        HttpApp(server_ssl_context) as app,
        HttpProxy(server_ssl_context if proxy_is_tls else None) as proxy,
    ):
        url = f"{'https' if proxy_is_tls else 'http'}://localhost:{proxy.port}"
        via = httpx.Proxy(url, ssl_context=client_context if proxy_is_tls else None)
        transport = httpx_transport(proxy=via, verify=client_context)
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(2):
                response = await client.post(f"https://127.0.0.1:{app.port}/echo", content=BIG)
                assert response.content == BIG
        assert proxy.targets == [f"127.0.0.1:{app.port}"]
        assert app.connection_count == 1


async def test_small_things() -> None:
    assert socket_error_of(LookupError()) is None
    await LongshoreBackend().sleep(0)
    socket = connect("127.0.0.1:9")
    backend = OneSocketBackend(socket)
    await backend.sleep(0)
    with pytest.raises(httpcore.UnsupportedProtocol, match="TCP"):
        await backend.connect_unix_socket("/run/app.sock")
    socket.abort()


@pytest.mark.parametrize("name", ["httpx", "httpcore"])
def test_without_httpx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in ("httpcore_backend", "_httpcore_stream"):
        monkeypatch.delitem(sys.modules, f"longshore.adapters.{module}")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install longshore\[httpx\]"):
        importlib.import_module("longshore.adapters.httpcore_backend")
