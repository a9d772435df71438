"""Tests of ``longshore.net.dial``: policy, resolution, race, handshake, and the time they may take together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.core.tls_options import TlsOptions, TlsRequest
from longshore.errors import ConnectError, ConnectTimeout, PolicyDenied, ResetError, ResolveError, TlsError
from longshore.net.dial import DirectDialer
from longshore.policy import EgressPolicy
from longshore.testing import StaticResolver, StreamDriver
from tests.net.test_connect import silent_port
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from ipaddress import IPv4Address, IPv6Address

    from longshore.abc import Connection


def request(address: str, **options: Any) -> DialRequest:
    return DialRequest(SocketAddress.parse(address), **options)


def port_of(server: RawServer) -> str:
    return server.address.rpartition(":")[2]


async def test_a_connection_comes_with_its_facts() -> None:
    with RawServer() as server:
        connection = await DirectDialer().dial(request(server.address))
        async with await server.accept() as peer:
            host, port = peer.sock.getpeername()
            assert connection.info.remote_address == server.address
            assert connection.info.local_address == f"{host}:{port}"
            assert (connection.info.alpn, connection.info.tls_version, connection.info.peer_certificate) == (None,) * 3
            timings = connection.info.timings
            assert timings.dns_s is None
            assert timings.tcp_s is not None
            assert timings.tls_s is None
        connection.stream.close()


async def test_a_name_is_resolved_and_timed() -> None:
    with RawServer() as server:
        resolver = StaticResolver({"server.example": ["127.0.0.1"]})
        connection = await DirectDialer(resolver=resolver).dial(request(f"server.example:{port_of(server)}"))
        assert resolver.queries == (("server.example", int(port_of(server))),)
        assert connection.info.remote_address == server.address
        assert connection.info.timings.dns_s is not None
        connection.stream.close()
        (await server.accept()).close()


async def test_a_literal_is_not_resolved() -> None:
    with RawServer() as server:
        resolver = StaticResolver({})
        connection = await DirectDialer(resolver=resolver).dial(request(server.address))
        assert resolver.queries == ()
        connection.stream.close()
        (await server.accept()).close()


async def test_a_failed_connect_names_every_address_with_its_cause() -> None:
    """K14."""
    resolver = StaticResolver({"two.example": ["127.0.0.1", "127.0.0.2"]})
    with pytest.raises(ConnectError) as caught:
        await DirectDialer(resolver=resolver).dial(request("two.example:1"))
    error = caught.value
    assert [attempt.address for attempt in error.attempts] == ["127.0.0.1:1", "127.0.0.2:1"]
    assert error.address == "two.example:1"
    assert str(error).startswith("cannot connect to two.example:1: 127.0.0.1:1: Connection refused; 127.0.0.2:1: ")
    assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_a_literal_that_refuses_is_the_same_error() -> None:
    with pytest.raises(ConnectError) as caught:
        await DirectDialer().dial(request("127.0.0.1:1"))
    assert [attempt.address for attempt in caught.value.attempts] == ["127.0.0.1:1"]
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_an_unknown_name_is_a_resolve_error() -> None:
    with pytest.raises(ResolveError):
        await DirectDialer(resolver=StaticResolver({})).dial(request("nobody.example:80"))


# -- policy ------------------------------------------------------------------------------------------


class Notes:
    """A policy that writes down what it is asked, and forbids some addresses."""

    def __init__(self, *forbidden: str, name: str | None = None) -> None:
        self.asked: list[str] = []
        self._forbidden = forbidden
        self._name = name

    def check_name(self, address: SocketAddress) -> None:
        self.asked.append(f"name {address}")
        if str(address) == self._name:
            raise PolicyDenied("no", rule="the name")

    def check_address(self, ip: IPv4Address | IPv6Address, port: int, *, hostname: str) -> None:
        self.asked.append(f"{ip} {port} {hostname}")
        if str(ip) in self._forbidden:
            raise PolicyDenied("no", rule=f"the address {ip}")


async def test_policy_judges_the_name_before_it_is_resolved() -> None:
    """K4."""
    resolver = StaticResolver({})
    policy = Notes(name="bad.example:80")
    with pytest.raises(PolicyDenied, match="no"):
        await DirectDialer(resolver=resolver, policy=policy).dial(request("bad.example:80"))
    assert resolver.queries == ()
    assert policy.asked == ["name bad.example:80"]


async def test_policy_judges_every_address_and_the_rest_is_tried() -> None:
    """K4."""
    with RawServer() as server:
        port = port_of(server)
        policy = Notes("127.0.0.2")
        resolver = StaticResolver({"mixed.example": ["127.0.0.2", "127.0.0.1"]})
        connection = await DirectDialer(resolver=resolver, policy=policy).dial(request(f"mixed.example:{port}"))
        assert connection.info.remote_address == server.address
        assert policy.asked[1:] == [f"127.0.0.{n} {port} mixed.example" for n in (2, 1)]
        connection.stream.close()
        (await server.accept()).close()


async def test_when_nothing_is_left_the_first_denial_is_raised_and_nobody_is_connected() -> None:
    """K4."""
    with RawServer() as server:
        policy = Notes("127.0.0.1", "127.0.0.2")
        resolver = StaticResolver({"bad.example": ["127.0.0.2", "127.0.0.1"]})
        with pytest.raises(PolicyDenied) as caught:
            await DirectDialer(resolver=resolver, policy=policy).dial(request(f"bad.example:{port_of(server)}"))
        assert caught.value.rule == "the address 127.0.0.2"
        with pytest.raises(BlockingIOError):
            server.sock.accept()


async def test_policy_judges_literals_too() -> None:
    """K4."""
    with RawServer() as server, pytest.raises(PolicyDenied):
        await DirectDialer(policy=EgressPolicy(allow=("public",))).dial(request(server.address))


# -- time --------------------------------------------------------------------------------------------


async def test_time_that_runs_out_while_resolving_says_so() -> None:
    resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=asyncio.Event())
    with pytest.raises(ConnectTimeout, match=r"within 0\.01 s: time ran out during resolving the name") as caught:
        await DirectDialer(resolver=resolver).dial(request("slow.example:80", timeout_s=0.01))
    assert (caught.value.during, caught.value.timeout_s, caught.value.attempts) == ("resolve", 0.01, ())


async def test_time_that_runs_out_while_connecting_names_what_failed_before() -> None:
    with silent_port("127.0.0.3") as port:
        resolver = StaticResolver({"slow.example": ["127.0.0.9", "127.0.0.3"]})
        with pytest.raises(ConnectTimeout, match=r"time ran out during connecting; 127\.0\.0\.9:") as caught:
            await DirectDialer(resolver=resolver).dial(request(f"slow.example:{port}", timeout_s=0.05))
        assert caught.value.during == "connect"
        assert len(caught.value.attempts) == 1


async def test_time_that_runs_out_for_a_literal_says_so() -> None:
    with silent_port() as port, pytest.raises(ConnectTimeout, match="during connecting"):
        await DirectDialer().dial(request(f"127.0.0.1:{port}", timeout_s=0.01))


async def test_time_that_runs_out_in_the_handshake_resets_the_peer(client_tls: TlsOptions) -> None:
    with RawServer() as server:
        dialing = asyncio.create_task(
            DirectDialer().dial(
                request(server.address, tls=TlsRequest("127.0.0.1", options=client_tls), timeout_s=0.05)
            )
        )
        async with await server.accept() as peer:
            with pytest.raises(ConnectTimeout, match="during the TLS handshake"):
                await dialing
            assert (await peer.receive_until_end())[1] == "reset"


async def test_a_resolvers_own_timeout_is_not_taken_for_ours() -> None:
    resolver = StaticResolver({"odd.example": TimeoutError("the resolver's own")})
    with pytest.raises(TimeoutError, match="the resolver's own") as caught:
        await DirectDialer(resolver=resolver).dial(request("odd.example:80", timeout_s=10))
    assert not isinstance(caught.value, ConnectTimeout)


# -- TLS ---------------------------------------------------------------------------------------------


async def dial_tls(
    server: RawServer, context: ssl.SSLContext, tls: TlsRequest, *, name: str = "localhost"
) -> tuple[Connection, TlsPeer]:
    """Connect with TLS; return both ends."""
    resolver = StaticResolver({name: ["127.0.0.1"]})
    dialing = asyncio.create_task(DirectDialer(resolver=resolver).dial(request(f"{name}:{port_of(server)}", tls=tls)))
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


async def test_a_handshake_tells_what_was_negotiated(
    server_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> None:
    with RawServer() as server:
        connection, peer = await dial_tls(server, server_ssl_context, TlsRequest("localhost", options=client_tls))
        info = connection.info
        assert info.tls_version == "TLSv1.3"
        assert info.cipher is not None
        assert info.cipher.startswith("TLS_")
        assert info.peer_certificate is not None
        assert info.timings.tls_s is not None
        driver = StreamDriver(connection.stream)
        await driver.send(b"ping")
        assert await peer.receive() == b"ping"
        driver.close()
        peer.close()


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        ("other_ca_ssl_context", "unable to get local issuer certificate|self-signed"),
        ("expired_ssl_context", "certificate has expired"),
        ("wrong_host_ssl_context", "Hostname mismatch"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_refused_with_the_reason(
    fixture: str, reason: str, client_tls: TlsOptions, request: pytest.FixtureRequest
) -> None:
    """K11."""
    context = request.getfixturevalue(fixture)
    with RawServer() as server, pytest.raises(TlsError, match=reason) as caught:
        await dial_tls(server, context, TlsRequest("localhost", options=client_tls))
    assert caught.value.verify_reason


async def test_start_tls_refuses_plaintext_that_is_there_already(client_tls: TlsOptions) -> None:
    """K9."""
    async with plain(client_tls) as (connection, peer, tls):
        await peer.send(b"220 injected\r\n")
        while connection.stream.peek() is None:
            await asyncio.sleep(0)
        with pytest.raises(TlsError, match="plaintext arrived before the handshake") as caught:
            await DirectDialer().start_tls(connection, tls)
        assert not caught.value.truncated
        assert (await peer.receive_until_end())[1] == "reset"


async def test_start_tls_on_an_ended_connection_says_so(client_tls: TlsOptions) -> None:
    async with plain(client_tls) as (connection, peer, tls):
        await peer.send_eof()
        while connection.stream.peek() is None:
            await asyncio.sleep(0)
        with pytest.raises(TlsError, match="the peer closed the connection before it") as caught:
            await DirectDialer().start_tls(connection, tls)
        assert caught.value.truncated


async def test_start_tls_on_a_broken_connection_is_a_reset(client_tls: TlsOptions) -> None:
    async with plain(client_tls) as (connection, peer, tls):
        peer.abort()
        with pytest.raises(ResetError):
            await DirectDialer().start_tls(connection, tls)


async def test_start_tls_has_its_own_time(client_tls: TlsOptions) -> None:
    async with plain(client_tls, timeout_s=0.01) as (connection, peer, tls):
        with pytest.raises(ConnectTimeout, match="during the TLS handshake"):
            await DirectDialer().start_tls(connection, tls)
        assert (await peer.receive_until_end())[1] == "reset"


async def test_start_tls_that_is_cancelled_closes_the_connection(client_tls: TlsOptions) -> None:
    """K13."""
    async with plain(client_tls) as (connection, peer, tls):
        task = asyncio.create_task(DirectDialer().start_tls(connection, tls))
        await peer.receive()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (await peer.receive_until_end())[1] == "reset"


class plain:  # noqa: N801 - used like a function
    """Give a plain connection, its peer, and the handshake to make on it."""

    def __init__(self, options: TlsOptions, timeout_s: float | None = None) -> None:
        self._tls = TlsRequest("localhost", options=options, timeout_s=timeout_s)
        self._ends: tuple[Connection, RawPeer] | None = None

    async def __aenter__(self) -> tuple[Connection, RawPeer, TlsRequest]:
        with RawServer() as server:
            connection = await DirectDialer().dial(request(server.address))
            peer = await server.accept()
        self._ends = (connection, peer)
        return connection, peer, self._tls

    async def __aexit__(self, *_: object) -> None:
        assert self._ends is not None
        self._ends[0].stream.close()
        self._ends[1].close()
