"""Every implementation of ``Dialer`` that connects: same facts, same errors in the same words, same cleanliness.

``BrokerDialer`` asks a real ``ControlDoor`` over a real channel.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

from longshore.config.model import NetworkRules
from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.errors import ConnectError, ConnectTimeout, PolicyDenied, ResetError, ResolveError, TlsError
from longshore.net.dial import DirectDialer
from longshore.policy import EgressPolicy
from longshore.testing import StaticResolver, StreamDriver
from tests.egress.broker_rig import broker, make_config, request
from tests.net.test_connect import silent_and_listening, silent_port
from tests.sweep import MODES, Attempt, sweep
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from longshore.abc import Connection, Dialer, Resolver

    MakeDialer: TypeAlias = Callable[..., AbstractAsyncContextManager[Dialer]]


@asynccontextmanager
async def direct(
    *, resolver: Resolver | None = None, allow: tuple[str, ...] = ("local",), deny: tuple[str, ...] = ()
) -> AsyncIterator[Dialer]:
    yield DirectDialer(resolver=resolver, policy=EgressPolicy(allow, deny))


@asynccontextmanager
async def brokered(
    *, resolver: Resolver | None = None, allow: tuple[str, ...] = ("local",), deny: tuple[str, ...] = ()
) -> AsyncIterator[Dialer]:
    config = make_config(network=NetworkRules(allow=allow, deny=deny))
    async with broker(config=config, resolver=resolver) as (dialer, _):
        yield dialer


@pytest.fixture(params=[direct, brokered], ids=["direct", "brokered"])
def make(request: pytest.FixtureRequest) -> MakeDialer:
    maker: MakeDialer = request.param
    return maker


def port_of(server: RawServer) -> str:
    return server.address.rpartition(":")[2]


# -- plain connections -------------------------------------------------------------------------------


async def test_a_connection_comes_with_its_facts_and_carries_bytes(make: MakeDialer) -> None:
    with RawServer() as server:
        async with make() as dialer:
            connection = await dialer.dial(request(server.address))
            async with await server.accept() as peer:
                host, port = peer.sock.getpeername()
                assert connection.info.remote_address == server.address
                assert connection.info.local_address == f"{host}:{port}"
                assert connection.info.timings.dns_s is None
                assert connection.info.timings.tcp_s is not None
                driver = StreamDriver(connection.stream)
                await driver.send(b"ping")
                assert await peer.receive() == b"ping"
                await peer.send(b"pong")
                await peer.send_eof()
                assert await driver.receive() == b"pong"
                assert await driver.receive() == b""
                driver.close()
                assert await peer.receive() == b""


async def test_a_connection_that_is_reset_says_so(make: MakeDialer) -> None:
    """K5."""
    with RawServer() as server:
        async with make() as dialer:
            connection = await dialer.dial(request(server.address))
            peer = await server.accept()
            driver = StreamDriver(connection.stream)
            peer.abort()
            with pytest.raises(ResetError):
                await driver.receive()
            driver.close()


async def test_a_name_is_resolved_and_timed(make: MakeDialer) -> None:
    with RawServer() as server:
        resolver = StaticResolver({"server.example": ["127.0.0.1"]})
        async with make(resolver=resolver) as dialer:
            connection = await dialer.dial(request(f"server.example:{port_of(server)}"))
            assert resolver.queries == (("server.example", int(port_of(server))),)
            assert connection.info.remote_address == server.address
            assert connection.info.timings.dns_s is not None
            connection.stream.close()
            (await server.accept()).close()


async def test_a_slow_address_does_not_hold_up_the_next(make: MakeDialer) -> None:
    """K14."""
    with silent_and_listening("127.0.0.7", "127.0.0.1") as port:
        resolver = StaticResolver({"two.example": ["127.0.0.7", "127.0.0.1"]})
        async with make(resolver=resolver) as dialer:
            connection = await dialer.dial(request(f"two.example:{port}"))
            assert connection.info.remote_address == f"127.0.0.1:{port}"
            connection.stream.close()


async def test_options_of_the_socket_are_set(make: MakeDialer) -> None:
    import socket  # noqa: PLC0415 - the name is taken by fixtures elsewhere

    with RawServer() as server:
        async with make() as dialer:
            asked = request(server.address, no_delay=True, keep_alive_s=77.0, local_address=("127.0.0.5", 0))
            connection = await dialer.dial(asked)
            with socket.socket(fileno=connection.stream.fileno()) as view:
                assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
                assert view.getsockname()[0] == "127.0.0.5"
                view.detach()
            connection.stream.close()
            (await server.accept()).close()


# -- no connection -----------------------------------------------------------------------------------


async def test_a_failed_connect_names_every_address_with_its_cause(make: MakeDialer) -> None:
    """K14."""
    resolver = StaticResolver({"two.example": ["127.0.0.1", "127.0.0.2"]})
    async with make(resolver=resolver) as dialer:
        with pytest.raises(ConnectError) as caught:
            await dialer.dial(request("two.example:1"))
    error = caught.value
    assert [attempt.address for attempt in error.attempts] == ["127.0.0.1:1", "127.0.0.2:1"]
    assert error.address == "two.example:1"
    assert str(error) == (
        "cannot connect to two.example:1: 127.0.0.1:1: Connection refused; 127.0.0.2:1: Connection refused"
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_a_literal_that_refuses_is_the_same_error(make: MakeDialer) -> None:
    async with make() as dialer:
        with pytest.raises(ConnectError) as caught:
            await dialer.dial(request("127.0.0.1:1"))
    assert [attempt.address for attempt in caught.value.attempts] == ["127.0.0.1:1"]
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_an_unknown_name_is_a_resolve_error(make: MakeDialer) -> None:
    async with make(resolver=StaticResolver({})) as dialer:
        with pytest.raises(ResolveError, match=r"cannot resolve 'nobody\.example'") as caught:
            await dialer.dial(request("nobody.example:80"))
    assert caught.value.during == "resolve"


async def test_a_denied_literal_is_told_where_and_not_why(make: MakeDialer) -> None:
    """K4."""
    with RawServer() as server:
        async with make(allow=("public",)) as dialer:
            with pytest.raises(PolicyDenied) as caught:
                await dialer.dial(request(server.address))
        assert str(caught.value) == f"connection to {server.address} blocked by policy"
        assert caught.value.address == server.address
        with pytest.raises(BlockingIOError):
            server.sock.accept()


async def test_a_denied_name_is_not_resolved(make: MakeDialer) -> None:
    """K4."""
    resolver = StaticResolver({})
    async with make(resolver=resolver, deny=("bad.example",)) as dialer:
        with pytest.raises(PolicyDenied, match=r"^connection to bad\.example:80 blocked by policy$"):
            await dialer.dial(request("bad.example:80"))
    assert resolver.queries == ()


async def test_each_address_of_a_name_is_judged_and_the_rest_is_tried(make: MakeDialer) -> None:
    """K4: DNS rebinding."""
    with RawServer() as server:
        resolver = StaticResolver({"mixed.example": ["10.0.0.1", "127.0.0.1"]})
        async with make(resolver=resolver) as dialer:
            connection = await dialer.dial(request(f"mixed.example:{port_of(server)}"))
            assert connection.info.remote_address == server.address
            connection.stream.close()
            (await server.accept()).close()


async def test_when_no_address_is_left_nobody_is_connected(make: MakeDialer) -> None:
    """K4."""
    with RawServer() as server:
        resolver = StaticResolver({"bad.example": ["127.0.0.1", "::1"]})
        async with make(resolver=resolver, allow=("public",)) as dialer:
            with pytest.raises(PolicyDenied, match=r"^connection to bad\.example:\d+ blocked by policy$"):
                await dialer.dial(request(f"bad.example:{port_of(server)}"))
        with pytest.raises(BlockingIOError):
            server.sock.accept()


# -- time --------------------------------------------------------------------------------------------


async def test_time_that_runs_out_while_resolving_says_so(make: MakeDialer) -> None:
    resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=asyncio.Event())
    async with make(resolver=resolver) as dialer:
        with pytest.raises(ConnectTimeout, match=r"within 0\.01 s: time ran out during resolving the name") as caught:
            await dialer.dial(request("slow.example:80", timeout_s=0.01))
    assert (caught.value.during, caught.value.timeout_s, caught.value.attempts) == ("resolve", 0.01, ())


async def test_time_that_runs_out_while_connecting_names_what_failed_before(make: MakeDialer) -> None:
    with silent_port("127.0.0.3") as port:
        resolver = StaticResolver({"slow.example": ["127.0.0.9", "127.0.0.3"]})
        async with make(resolver=resolver) as dialer:
            with pytest.raises(ConnectTimeout, match=r"time ran out during connecting; 127\.0\.0\.9:") as caught:
                await dialer.dial(request(f"slow.example:{port}", timeout_s=0.05))
        assert caught.value.during == "connect"
        assert len(caught.value.attempts) == 1


async def test_time_that_runs_out_for_a_literal_says_so(make: MakeDialer) -> None:
    with silent_port() as port:
        async with make() as dialer:
            with pytest.raises(ConnectTimeout, match="during connecting"):
                await dialer.dial(request(f"127.0.0.1:{port}", timeout_s=0.01))


async def test_time_that_runs_out_in_the_handshake_resets_the_peer(make: MakeDialer, client_tls: TlsOptions) -> None:
    with RawServer() as server:
        async with make() as dialer:
            tls = TlsRequest("127.0.0.1", options=client_tls)
            dialing = asyncio.create_task(dialer.dial(request(server.address, tls=tls, timeout_s=0.05)))
            async with await server.accept() as peer:
                with pytest.raises(ConnectTimeout, match=r"within 0\.05 s: time ran out during the TLS handshake"):
                    await dialing
                assert (await peer.receive_until_end())[1] == "reset"


# -- TLS ---------------------------------------------------------------------------------------------


async def dial_tls(
    dialer: Dialer, server: RawServer, context: ssl.SSLContext, tls: TlsRequest
) -> tuple[Connection, TlsPeer]:
    """Connect with TLS; return both ends."""
    dialing = asyncio.create_task(dialer.dial(request(f"localhost:{port_of(server)}", tls=tls)))
    peer = TlsPeer(await server.accept(), context)
    answering = asyncio.create_task(peer.handshake())
    try:
        connection = await dialing
        connection.stream.flush()  # the last flight waits for company (K2)
    finally:
        await asyncio.wait([answering])
        if answering.exception() is not None:
            peer.close()
    return connection, peer


LOCALHOST = {"localhost": ["127.0.0.1"]}


async def test_a_handshake_tells_what_was_negotiated(
    make: MakeDialer, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    with RawServer() as server:
        async with make(resolver=StaticResolver(LOCALHOST)) as dialer:
            tls = TlsRequest("localhost", options=client_tls)
            connection, peer = await dial_tls(dialer, server, server_ssl_context, tls)
            info = connection.info
            assert info.tls_version == "TLSv1.3"
            assert info.peer_certificate is not None
            assert info.timings.dns_s is not None
            assert info.timings.tls_s is not None
            driver = StreamDriver(connection.stream)
            await driver.send(b"ping")
            assert await peer.receive() == b"ping"
            driver.close()
            peer.close()


async def test_a_certificate_that_does_not_fit_is_refused_with_the_reason(
    make: MakeDialer, wrong_host_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K11."""
    with RawServer() as server:
        async with make(resolver=StaticResolver(LOCALHOST)) as dialer:
            with pytest.raises(TlsError, match="Hostname mismatch") as caught:
                await dial_tls(dialer, server, wrong_host_ssl_context, TlsRequest("localhost", options=client_tls))
    assert caught.value.verify_reason


@asynccontextmanager
async def plain(make: MakeDialer) -> AsyncIterator[tuple[Dialer, Connection, RawPeer]]:
    """Give a plain connection and its peer."""
    async with make() as dialer:
        with RawServer() as server:
            connection = await dialer.dial(request(server.address))
            async with await server.accept() as peer:
                yield dialer, connection, peer
        connection.stream.close()


async def test_start_tls_upgrades_the_connection(
    make: MakeDialer, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    async with plain(make) as (dialer, connection, raw):
        peer = TlsPeer(raw, server_ssl_context)
        tls = TlsRequest("localhost", options=client_tls)
        answering = asyncio.create_task(peer.handshake())
        upgraded = await dialer.start_tls(connection, tls)
        upgraded.stream.flush()
        await answering
        driver = StreamDriver(upgraded.stream)
        await driver.send(b"ping")
        assert await peer.receive() == b"ping"
        driver.close()


async def test_start_tls_refuses_plaintext_that_is_there_already(make: MakeDialer, client_tls: TlsOptions) -> None:
    """K9."""
    async with plain(make) as (dialer, connection, peer):
        await peer.send(b"220 injected\r\n")
        while connection.stream.peek() is None:
            await asyncio.sleep(0)
        with pytest.raises(TlsError, match="plaintext arrived before the handshake"):
            await dialer.start_tls(connection, TlsRequest("localhost", options=client_tls))
        assert (await peer.receive_until_end())[1] == "reset"


async def test_start_tls_has_its_own_time(make: MakeDialer, client_tls: TlsOptions) -> None:
    async with plain(make) as (dialer, connection, peer):
        with pytest.raises(ConnectTimeout, match="during the TLS handshake"):
            await dialer.start_tls(connection, TlsRequest("localhost", options=client_tls, timeout_s=0.01))
        assert (await peer.receive_until_end())[1] == "reset"


# -- cancellation ------------------------------------------------------------------------------------

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))


@modes
async def test_a_dial_that_is_cancelled_leaves_nothing(make: MakeDialer, mode: str) -> None:
    """K13."""
    resolver = StaticResolver({"server.example": ["127.0.0.9", "127.0.0.1"]})

    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            async with make(resolver=resolver) as dialer:
                connection = await attempt.run(dialer.dial(request(f"server.example:{port_of(server)}")))
                if connection is not None:
                    connection.stream.close()

    assert await sweep(play, mode) >= 1


@modes
async def test_a_handshake_that_is_cancelled_leaves_nothing(
    make: MakeDialer, mode: str, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    """K13."""
    tls = TlsRequest("localhost", options=client_tls)

    async def serve(server: RawServer) -> None:
        async with TlsPeer(await server.accept(), server_ssl_context) as peer:
            with contextlib.suppress(Exception):
                await peer.handshake()

    async def play(attempt: Attempt) -> None:
        with RawServer() as server:
            async with make() as dialer:
                serving = asyncio.create_task(serve(server))
                connection = await attempt.run(dialer.dial(request(server.address, tls=tls)))
                if connection is not None:
                    connection.stream.flush()
                    connection.stream.close()
                await serving

    assert await sweep(play, mode) >= 1
