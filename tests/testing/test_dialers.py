"""``MemoryDialer`` and ``RoutedDialer``."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.errors import (
    ArgumentValueError,
    ConnectError,
    ConnectTimeout,
    PolicyDenied,
    ResolveError,
    TlsError,
)
from longshore.net.dial import DirectDialer
from longshore.policy import EgressPolicy
from longshore.testing import MemoryDialer, RoutedDialer, StaticResolver, StreamDriver
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.abc import Connection

NAME = "db.example:5432"
CA = trustme.CA()
IDENTITY = CA.issue_cert("db.example")
TRUST = TlsOptions(ca=CA.cert_pem.bytes())


def request(address: str = NAME, *, tls: bool = False, timeout_s: float | None = None) -> DialRequest:
    parsed = SocketAddress.parse(address)
    asked = TlsRequest(server_name=parsed.server_name, options=TRUST) if tls else None
    return DialRequest(parsed, tls=asked, timeout_s=timeout_s)


async def serve_tls(server: StreamDriver) -> None:
    """Make the server's side of a handshake; it ends with the client's Finished."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    IDENTITY.configure_cert(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            await server.send(outgoing.read())
            incoming.write(await server.receive())
        else:
            await server.send(outgoing.read())
            return


# -- MemoryDialer --------------------------------------------------------------------------------------


async def test_a_memory_connection_has_a_far_end() -> None:
    dialer = MemoryDialer()
    connection = await dialer.dial(request())
    near, far = StreamDriver(connection.stream), StreamDriver(await dialer.accept())
    await near.send(b"ping")
    assert await far.receive() == b"ping"
    await far.send(b"pong")
    assert await near.receive() == b"pong"
    assert connection.info.remote_address == NAME
    assert [str(made.address) for made in dialer.requests] == [NAME]


async def test_far_ends_come_in_the_order_of_the_dials() -> None:
    dialer = MemoryDialer(capacity_bytes=1)
    nears = [(await dialer.dial(request())).stream for _ in range(3)]
    for index, near in enumerate(nears):
        assert near.try_write(b"%d." % index) == 1
    assert [(await dialer.accept()).try_read(10) for _ in nears] == [b"0", b"1", b"2"]


async def test_a_dial_can_be_made_to_fail_and_to_succeed_again() -> None:
    dialer = MemoryDialer()
    error = ConnectError("refused", address=NAME)
    dialer.fail_with(error)
    with pytest.raises(ConnectError) as caught:
        await dialer.dial(request())
    assert caught.value is error
    dialer.fail_with(None)
    await dialer.dial(request())
    assert len(dialer.requests) == 2


@pytest.mark.parametrize("error", [None, ResolveError("gone")])
async def test_a_dial_can_be_made_to_hang(error: Exception | None) -> None:
    dialer = MemoryDialer()
    dialer.hang()
    dialing = asyncio.create_task(dialer.dial(request()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not dialing.done()
    dialer.fail_with(error)
    dialer.release()
    if error is None:
        assert (await dialing).info.remote_address == NAME
    else:
        with pytest.raises(ResolveError, match="gone"):
            await dialing


async def test_a_hanging_dial_keeps_its_bound() -> None:
    dialer = MemoryDialer()
    dialer.hang()
    with pytest.raises(ConnectTimeout, match=r"db\.example:5432 within 0\.01 s") as caught:
        await dialer.dial(request(timeout_s=0.01))
    assert caught.value.timeout_s == 0.01


async def test_a_timeout_of_the_test_is_not_taken_for_the_bound() -> None:
    dialer = MemoryDialer()
    error = TimeoutError("the test says so")
    dialer.fail_with(error)
    with pytest.raises(TimeoutError) as caught:
        await dialer.dial(request(timeout_s=30))
    assert caught.value is error


async def test_a_hanging_dial_can_be_cancelled() -> None:
    dialer = MemoryDialer()
    dialer.hang()
    dialing = asyncio.create_task(dialer.dial(request()))
    await asyncio.sleep(0)
    dialing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialing


async def test_a_memory_connection_may_have_tls() -> None:
    dialer = MemoryDialer()
    dialing = asyncio.create_task(dialer.dial(request(tls=True)))
    serving = asyncio.create_task(serve_tls(StreamDriver(await dialer.accept())))
    connection = await dialing
    assert connection.stream.flush()  # Finished, which is held back for the first write (rule K2)
    await serving
    assert connection.info.tls_version == "TLSv1.3"
    assert connection.info.peer_certificate is not None
    connection.stream.close()


async def test_a_memory_connection_can_be_upgraded() -> None:
    dialer = MemoryDialer()
    connection = await dialer.dial(request())
    serving = asyncio.create_task(serve_tls(StreamDriver(await dialer.accept())))
    upgraded = await dialer.start_tls(connection, TlsRequest("db.example", options=TRUST))
    assert upgraded.stream.flush()
    await serving
    assert upgraded.info.tls_version == "TLSv1.3"
    upgraded.stream.close()


async def test_an_injected_reset_fails_the_handshake() -> None:
    dialer = MemoryDialer()
    dialing = asyncio.create_task(dialer.dial(request(tls=True)))
    (await dialer.accept()).inject_reset()
    with pytest.raises(ConnectionError):
        await dialing


# -- RoutedDialer --------------------------------------------------------------------------------------


@asynccontextmanager
async def closing(connection: Connection) -> AsyncIterator[Connection]:
    try:
        yield connection
    finally:
        connection.stream.close()


@pytest.mark.parametrize("spelling", [NAME, "DB.Example:5432", "db.example:05432"])
async def test_a_name_is_routed_to_a_local_server(spelling: str) -> None:
    with RawServer() as server:
        dialer = RoutedDialer({spelling: server.address})
        async with closing(await dialer.dial(request())) as connection, await server.accept() as peer:
            assert connection.info.remote_address == server.address
            assert connection.stream.try_write(b"hello") == 5
            assert await peer.receive() == b"hello"


async def test_a_destination_without_a_route_is_refused() -> None:
    dialer = RoutedDialer({"a.example:1": "127.0.0.1:9", "b.example:2": "127.0.0.1:9"})
    with pytest.raises(ConnectError, match=r"db.example:5432: .* its routes are: a.example:1, b.example:2"):
        await dialer.dial(request())
    with pytest.raises(ConnectError, match="its routes are: none"):
        await RoutedDialer({}).dial(request())


async def test_a_destination_without_a_route_may_pass_through() -> None:
    with RawServer() as server:
        dialer = RoutedDialer({}, pass_through=True)
        async with closing(await dialer.dial(request(server.address))), await server.accept():
            pass


async def test_it_uses_the_dialer_it_was_given() -> None:
    inner = MemoryDialer()
    await RoutedDialer({NAME: "127.0.0.1:7070"}, inner).dial(request(timeout_s=5))
    assert [(str(made.address), made.timeout_s) for made in inner.requests] == [("127.0.0.1:7070", 5)]


async def test_an_upgrade_goes_through_the_dialer_it_was_given() -> None:
    inner = MemoryDialer()
    dialer = RoutedDialer({NAME: "127.0.0.1:7070"}, inner)
    connection = await dialer.dial(request())
    serving = asyncio.create_task(serve_tls(StreamDriver(await inner.accept())))
    upgraded = await dialer.start_tls(connection, TlsRequest("db.example", options=TRUST))
    assert upgraded.stream.flush()
    await serving
    assert upgraded.info.tls_version == "TLSv1.3"
    upgraded.stream.close()


async def test_a_policy_underneath_judges_the_routed_address() -> None:
    dialer = RoutedDialer({NAME: "127.0.0.1:9"}, DirectDialer(policy=EgressPolicy()))
    with pytest.raises(PolicyDenied, match=r"127\.0\.0\.1"):
        await dialer.dial(request())


async def test_a_route_may_point_to_a_name() -> None:
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        resolver = StaticResolver({"local.example": ["127.0.0.1"]})
        dialer = RoutedDialer({NAME: f"local.example:{port}"}, DirectDialer(resolver=resolver))
        async with closing(await dialer.dial(request())), await server.accept():
            assert resolver.queries == (("local.example", int(port)),)


@pytest.mark.parametrize("certified", ["db.example", "other.example"])
async def test_the_certificate_is_checked_against_the_original_name(certified: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert(certified).configure_cert(context)
    seen: list[str | None] = []
    context.sni_callback = lambda _, name, __: seen.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        host, port = server.sockets[0].getsockname()
        dialer = RoutedDialer({NAME: f"{host}:{port}"})
        if certified == "db.example":
            async with closing(await dialer.dial(request(tls=True))) as connection:
                assert connection.info.tls_version == "TLSv1.3"
        else:
            with pytest.raises(TlsError, match="certificate refused"):
                await dialer.dial(request(tls=True))
    assert seen == ["db.example"]


@pytest.mark.parametrize("routes", [{"db.example": "127.0.0.1:1"}, {NAME: "127.0.0.1"}])
def test_a_wrong_route_is_refused_at_once(routes: dict[str, str]) -> None:
    with pytest.raises(ArgumentValueError, match="has no port"):
        RoutedDialer(routes)
