"""httpx over a socket that is there already: the cases of workerd's ``http-socket-test.js``."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from longshore import ClosedError, Socket, UsageError, connect
from longshore.adapters.httpcore_backend import httpx_transport
from tests.adapters.http_app import HttpApp
from tests.adapters.http_client import over
from tests.link import turns
from tests.testing.raw import RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.link import Link


@asynccontextmanager
async def client_of(link: Link, **options: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Socket, HttpApp]]:
    """Give a client that speaks over one socket, the socket, and the server; nobody has waited for ``opened``."""
    async with HttpApp(link.server_context if link.is_tls else None) as app:
        socket = connect(("localhost", app.port), **link.options)
        try:
            async with over(socket, **options) as client:
                yield client, socket, app
        finally:
            socket.abort()


async def test_one_request(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        response = await client.get("/ping")
        assert (response.status_code, response.text) == (200, "pong")


async def test_json_response(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        response = await client.get("/json")
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {"message": "Hello from HTTP socket server"}


@pytest.mark.parametrize("size", [13, 3_000_000])
async def test_post_request(link: Link, size: int) -> None:
    async with client_of(link) as (client, _, _):
        content = (b"Hello, world!" * (size // 13 + 1))[:size]
        response = await client.post("/echo", content=content)
        assert response.content == content


async def test_custom_headers(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        sent = {"x-custom-header": "custom-value", "x-another-header": "another-value"}
        arrived = (await client.get("/headers", headers=sent)).json()
        assert {name: arrived[name] for name in sent} == sent
        assert arrived["host"] == "app.example"


@pytest.mark.parametrize(("path", "status", "text"), [
    ("/missing", 404, "Not Found"),
    ("/error", 500, "Internal Server Error"),
])  # fmt: skip
async def test_error_responses(link: Link, path: str, status: int, text: str) -> None:
    async with client_of(link) as (client, _, _):
        response = await client.get(path)
        assert (response.status_code, response.text) == (status, text)


async def test_a_redirect_is_followed(link: Link) -> None:
    async with client_of(link, follow_redirects=True) as (client, _, app):
        response = await client.get("/redirect")
        assert (response.status_code, response.text) == (200, "pong")
        assert app.connection_count == 1


async def test_multiple_requests_on_the_same_connection(link: Link) -> None:
    async with client_of(link) as (client, _, app):
        assert (await client.get("/ping")).text == "pong"
        assert "message" in (await client.get("/json")).json()
        assert app.connection_count == 1


async def test_concurrent_requests_take_turns(link: Link) -> None:
    """Workerd rejects the second; one socket is one HTTP/1.1 connection, so here it waits."""
    async with client_of(link) as (client, _, app):
        responses = await asyncio.gather(*(client.get("/ping") for _ in range(5)))
        assert [response.text for response in responses] == ["pong"] * 5
        assert app.connection_count == 1


async def test_the_socket_cannot_be_used_beside_the_client(link: Link) -> None:
    async with client_of(link) as (client, socket, _):
        with pytest.raises(UsageError, match="locked"):
            socket.writable.get_writer()
        with pytest.raises(UsageError, match="locked"):
            socket.readable.get_reader()
        assert (await client.get("/ping")).text == "pong"


async def test_closing_the_socket_ends_the_client(link: Link) -> None:
    """Workerd detaches the socket at the conversion; here it goes on to own the connection."""
    async with client_of(link) as (client, socket, _):
        assert (await client.get("/ping")).text == "pong"
        await socket.close()
        with pytest.raises(httpx.ConnectError, match="used up"):
            await client.get("/ping")


@pytest.mark.parametrize("side", ["readable", "writable"])
async def test_a_locked_stream_is_not_converted(link: Link, side: str) -> None:
    async with link() as (socket, _):
        lock = socket.readable.get_reader() if side == "readable" else socket.writable.get_writer()
        with pytest.raises(UsageError, match=f"{side} stream is locked"):
            httpx_transport(socket=socket)
        lock.release_lock()
        httpx_transport(socket=socket)


async def test_a_websocket(link: Link) -> None:
    """Upgrade, echo, clean close: httpx hands out the stream that speaks the new protocol."""
    async with client_of(link) as (client, socket, _):
        headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        headers["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        async with client.stream("GET", "/websocket", headers=headers) as response:
            assert response.status_code == 101
            assert response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            stream = response.extensions["network_stream"]
            await stream.write(b"\x81\x85\x00\x00\x00\x00hello")
            assert await stream.read(100) == b"\x81\x05hello"
            await stream.write(b"\x88\x80\x00\x00\x00\x00")
            assert await stream.read(100) == b"\x88\x00"
            assert await stream.read(100) == b""
        await socket.closed


async def test_a_server_that_breaks_off(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        with pytest.raises(httpx.ReadError):
            await client.get("/destroy")


async def test_a_server_that_does_not_answer(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/drop", timeout=httpx.Timeout(None, read=0.01))


async def test_the_client_has_nothing_to_connect_with(link: Link) -> None:
    async with client_of(link) as (client, _, _):
        assert not hasattr(client, "connect")
        assert not hasattr(client._transport, "connect")


async def test_http_after_start_tls(link: Link) -> None:
    async with HttpApp(link.server_context) as app:
        plain = connect(("localhost", app.port), secure_transport="starttls")
        await plain.opened
        socket = plain.start_tls(tls=link.client_tls)
        await socket.opened
        async with over(socket) as client:
            assert (await client.get("/ping")).text == "pong"


async def test_the_old_socket_is_not_converted_after_start_tls(link: Link) -> None:
    async with HttpApp(link.server_context) as app:
        plain = connect(("localhost", app.port), secure_transport="starttls")
        socket = plain.start_tls(tls=link.client_tls)
        with pytest.raises(UsageError, match="upgraded"):
            httpx_transport(socket=plain)
        async with over(socket) as client:
            assert (await client.get("/ping")).text == "pong"


async def test_http_right_after_start_tls_without_waiting(link: Link) -> None:
    """K2."""
    async with HttpApp(link.server_context) as app:
        plain = connect(("localhost", app.port), secure_transport="starttls")
        async with over(plain.start_tls(tls=link.client_tls)) as client:
            assert (await client.get("/ping")).text == "pong"


async def test_start_tls_names_the_host_with_sni(link: Link) -> None:
    """Workerd's ``expectedServerHostname``; an unknown spelling is an error and not ignored."""
    async with HttpApp(link.server_context) as app:
        plain = connect(("127.0.0.1", app.port), secure_transport="starttls")
        with pytest.raises(TypeError, match="expectedServerHostname"):
            plain.start_tls(expectedServerHostname="localhost")  # type: ignore[call-arg]  # the point
        async with over(plain.start_tls(sni="localhost", tls=link.client_tls)) as client:
            assert (await client.get("/ping")).text == "pong"


async def test_http_after_a_request_by_hand(link: Link) -> None:
    async with HttpApp(link.server_context if link.is_tls else None) as app:
        socket = connect(("localhost", app.port), **link.options)
        writer = socket.writable.get_writer()
        await writer.write("GET /ping HTTP/1.1\r\nHost: app.example\r\n\r\n")
        reader = socket.readable.get_reader()
        received = b""
        while not received.endswith(b"\r\n\r\npong"):
            received += await reader.read()
        reader.release_lock()
        writer.release_lock()
        async with over(socket) as client:
            assert "message" in (await client.get("/json")).json()
        assert app.connection_count == 1


async def test_what_was_written_before_leaves_first(link: Link) -> None:
    with RawServer() as server:
        socket = connect(server.address, **link.options)
        await socket.writable.write("PROXY UNKNOWN\r\n")
        async with over(socket) as client:
            getting = asyncio.ensure_future(client.get("/"))
            async with await link.accept(server) as peer:
                received = b""
                while not received.endswith(b"\r\n\r\n"):
                    received += await peer.receive()
                assert received.startswith(b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n")
                await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert (await getting).status_code == 204


async def test_bytes_before_the_request_are_an_error(link: Link) -> None:
    """They would be taken for the answer to a request that was not sent yet."""
    async with link() as (socket, peer):
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await turns()
        async with over(socket) as client:
            with pytest.raises(httpx.ConnectError, match="before the request"):
                await client.get("/")
        with pytest.raises(ClosedError):
            await socket.closed


async def test_the_peer_of_a_dead_socket(link: Link) -> None:
    async with link() as (socket, peer):
        assert isinstance(peer, TlsPeer) == link.is_tls
        peer.abort()
        async with over(socket) as client:
            with pytest.raises((httpx.ConnectError, httpx.ReadError)):
                await client.get("/")


async def test_a_context_is_not_looked_for_in_a_plain_socket(link: Link, server_ssl_context: ssl.SSLContext) -> None:
    """An ``https://`` URL over a socket without TLS makes the handshake; over one with TLS, a second one inside."""
    async with HttpApp(server_ssl_context) as app:
        context = ssl.create_default_context(cafile=str(link.client_tls.ca))
        socket = connect(("localhost", app.port), secure_transport="starttls")
        transport = httpx_transport(socket=socket, verify=context)
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get("https://localhost/ping")).text == "pong"
