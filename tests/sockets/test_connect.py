"""``connect()``: what it does at the call, what leaves first, where it may go, and which address it takes."""

from __future__ import annotations

import asyncio
import socket as system
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    ArgumentTypeError,
    ArgumentValueError,
    ConnectError,
    ConnectTimeout,
    DirectDialer,
    EgressPolicy,
    PolicyDenied,
    ResolveError,
    SocketAddress,
    SocketError,
    SocketOptions,
    TlsError,
    UsageError,
    connect,
    set_default_dialer,
)
from longshore.testing import MemoryDialer, RoutedDialer, StaticResolver, StreamDriver
from tests.certificates import CertificateFiles, server_context
from tests.loopback import black_hole, ending, outcome, refusing_address
from tests.testing.raw import RawServer, data_segments_received
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    from longshore import TlsOptions

# -- K1: at the call -----------------------------------------------------------------------------


async def test_it_returns_before_any_io() -> None:
    """K1: neither the resolver nor a socket was touched when it returns."""
    resolver = StaticResolver({})
    socket = connect("nobody.example:1", dialer=DirectDialer(resolver=resolver))
    assert not socket.opened.done()
    assert not resolver.queries
    assert isinstance(await outcome(socket.opened), ResolveError)
    assert list(resolver.queries) == [("nobody.example", 1)]


def test_it_needs_a_running_loop() -> None:
    """K1: and says so."""
    with pytest.raises(UsageError, match="running event loop"):
        connect("localhost:1")


async def test_it_needs_a_dialer() -> None:
    """K1: without a default one, the error says what to do."""
    former = set_default_dialer(None)
    try:
        with pytest.raises(UsageError, match="set_default_dialer"):
            connect("localhost:1")
    finally:
        assert set_default_dialer(former) is None


@pytest.mark.parametrize(
    "address",
    [None, 80, b"localhost:80", ("localhost",), ("localhost", 80, 0), {"hostname": "localhost"}, {}, object()],
)
async def test_an_address_of_a_wrong_kind_is_a_type_error(address: Any) -> None:
    """K1: a ``SocketError`` and a ``TypeError`` both."""
    with pytest.raises(ArgumentTypeError) as caught:
        connect(address)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, SocketError)


@pytest.mark.parametrize(
    "address",
    ["localhost", ":80", "a b:1", "localhost:99999", "::1:80", "my_host!:1", "localhost:1/foo", "u:p@localhost:1", ""],
)
async def test_a_wrong_address_is_a_value_error(address: str) -> None:
    """K3: a ``SocketError`` and a ``ValueError`` both."""
    with pytest.raises(ArgumentValueError) as caught:
        connect(address)
    assert isinstance(caught.value, ValueError)


async def test_every_form_of_an_address_is_one_value() -> None:
    """K3: what is parsed is what is dialled and printed."""
    dialer = MemoryDialer()
    forms: list[Any] = [
        "[::1]:80",
        ("::1", 80),
        ["::1", 80],
        {"hostname": "::1", "port": 80},
        {"hostname": "[::1]", "port": 80},
        SocketAddress("::1", 80),
        "[0:0:0:0:0:0:0:1]:0080",
    ]
    for form in forms:
        socket = connect(form, dialer=dialer)
        async with socket:
            (await dialer.accept()).close()
            assert str(socket.address) == "[::1]:80"
            assert "[::1]:80" in repr(socket)
    assert {request.address for request in dialer.requests} == {SocketAddress("::1", 80)}


async def test_options_reach_the_dialer() -> None:
    """K1: what the dialer is asked for is what was given."""
    dialer = MemoryDialer()
    dialer.fail_with(ConnectError("no"))
    options = SocketOptions(no_delay=False, keep_alive_s=5, local_address=("127.0.0.1", 0), dialer=dialer)
    socket = connect("db.example:1", options, connectTimeoutS=3)
    await outcome(socket.closed)
    (request,) = dialer.requests
    assert (request.no_delay, request.keep_alive_s, request.timeout_s) == (False, 5, 3)
    assert request.local_address == ("127.0.0.1", 0)
    assert request.tls is None


async def test_a_dialer_with_a_bug_settles_the_socket() -> None:
    """K6: an exception that is no ``SocketError`` becomes one, with its cause."""
    dialer = MemoryDialer()
    dialer.fail_with(ZeroDivisionError("oops"))
    socket = connect("db.example:1", dialer=dialer)
    error = await outcome(socket.opened)
    assert isinstance(error, SocketError)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert await outcome(socket.closed) is error


# -- K2: early writes ----------------------------------------------------------------------------


async def test_early_writes_leave_in_one_segment() -> None:
    """K2: whatever was written before the connection is up is the first segment."""
    with RawServer() as server:
        socket = connect(server.address)
        for word in (b"early ", b"writes ", b"together"):
            await socket.writable.write(word)
        async with await server.accept() as peer, ending(socket):
            assert await peer.receive_exactly(21) == b"early writes together"
            assert data_segments_received(peer.sock) == 1


async def test_early_writes_leave_with_the_end_of_the_handshake(
    client_tls: TlsOptions, server_ssl_context: ssl.SSLContext
) -> None:
    """K2: under TLS 1.3 the client's second segment has its Finished and the early bytes."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        await socket.writable.write(b"early ")
        await socket.writable.write(b"bird")
        async with await server.accept() as raw, ending(socket):
            peer = TlsPeer(raw, server_ssl_context)
            await peer.handshake()
            assert peer.engine.ssl.version() == "TLSv1.3"
            assert await peer.receive_exactly(10) == b"early bird"
            assert data_segments_received(raw.sock) == 2  # ClientHello; Finished and the words


async def test_early_writes_are_bounded_by_the_high_water_mark() -> None:
    """K2: the chunk that reaches the mark waits in the queue, the next one waits outside it."""
    dialer = MemoryDialer()
    dialer.hang()
    socket = connect("db.example:1", dialer=dialer, high_water_mark=10)
    async with ending(socket):
        writer = socket.writable.get_writer()
        await writer.write(b"123456789")
        queued = asyncio.create_task(writer.write(b"abcde"))
        outside = [asyncio.create_task(writer.write(data)) for data in (b"FGH", b"IJK")]
        await asyncio.sleep(0)
        assert writer.desired_size == 10 - 9 - 5
        assert not any(task.done() for task in (queued, *outside))
        dialer.release()
        far = StreamDriver(await dialer.accept())
        assert await far.receive_exactly(20) == b"123456789abcdeFGHIJK"
        await asyncio.gather(queued, *outside)
        far.close()


async def test_early_writes_to_nobody_raise() -> None:
    """K5: bytes accepted for a connection that never came up are not lost silently."""
    with refusing_address() as address:
        socket = connect(address)
        writer = socket.writable.get_writer()
        await writer.write(b"for nobody")
        with pytest.raises(ConnectError):
            await writer.close()
        with pytest.raises(ConnectError):
            await writer.write(b"more")
        assert isinstance(await outcome(writer.closed), ConnectError)


# -- K4: policy ----------------------------------------------------------------------------------


async def dial_with(policy: EgressPolicy, hosts: dict[str, list[str]], address: str) -> tuple[Any, StaticResolver]:
    resolver = StaticResolver(hosts)
    socket = connect(address, dialer=DirectDialer(resolver=resolver, policy=policy))
    error = await outcome(socket.opened)
    socket.abort()
    await outcome(socket.closed)
    return error or socket.opened.result(), resolver


async def test_only_allowed_addresses_of_a_name_are_connected() -> None:
    """K4: the policy picks among the candidates; the name is resolved once."""
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        hosts = {"mixed.example": ["10.0.0.1", "::1", "127.0.0.2", "127.0.0.1"]}
        info, resolver = await dial_with(EgressPolicy(["127.0.0.1"]), hosts, f"mixed.example:{port}")
        assert info.remote_address == server.address
        assert len(resolver.queries) == 1


@pytest.mark.parametrize(
    "reached",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "0.0.0.0", "::", "169.254.169.254", "10.0.0.1"],
)
async def test_an_address_is_judged_as_what_it_reaches(reached: str) -> None:
    """K4: by default this host and private networks are closed, as a literal and behind a name alike."""
    literal = f"[{reached}]" if ":" in reached else reached
    for address in (f"{literal}:80", "innocent.example:80"):
        error, _ = await dial_with(EgressPolicy(), {"innocent.example": [reached]}, address)
        assert isinstance(error, PolicyDenied)
        assert error.rule
        assert "blocked by policy" in str(error)
        assert reached not in str(error).replace(address, "")


async def test_a_mapped_address_that_is_allowed_is_connected() -> None:
    """K4: the verdict on ``::ffff:127.0.0.1`` is that on 127.0.0.1, both ways."""
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        info, _ = await dial_with(EgressPolicy(["local"]), {}, f"[::ffff:127.0.0.1]:{port}")
        assert info.remote_address.endswith(f":{port}")


async def test_a_denied_name_is_not_even_resolved() -> None:
    """K4: no query leaves for a destination that is refused by its name."""
    error, resolver = await dial_with(EgressPolicy(deny=["*.secret.example"]), {}, "db.secret.example:5432")
    assert isinstance(error, PolicyDenied)
    assert resolver.queries == ()


# -- K11: the name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "sni", "seen"),
    [
        ("localhost:443", None, "localhost"),
        ("LOCALHOST.:443", None, "localhost"),
        ("elsewhere.example:443", "localhost", "localhost"),
        ("127.0.0.1:443", None, None),
        ("[::1]:443", None, None),
        ("elsewhere.example:443", "127.0.0.1", None),
    ],
)
async def test_sni_is_sent_for_names_only(
    address: str, sni: str | None, seen: str | None, client_tls: TlsOptions, server_cert_files: CertificateFiles
) -> None:
    """K11: what the server sees; the certificate stands for localhost, 127.0.0.1 and ::1, and is verified."""
    names: list[str | None] = []
    context = server_context(server_cert_files)
    context.sni_callback = lambda _, name, __: names.append(name)
    with RawServer() as server:
        dialer = RoutedDialer({address: server.address})
        socket = connect(address, secure_transport="on", sni=sni, tls=client_tls, dialer=dialer)
        async with await server.accept() as raw, ending(socket):
            await TlsPeer(raw, context).handshake()
            await socket.opened
            assert names == [seen]


@pytest.mark.parametrize("flaw", ["expired", "wrong_host", "other_ca"])
async def test_a_bad_certificate_is_refused(flaw: str, client_tls: TlsOptions, request: pytest.FixtureRequest) -> None:
    """K11: verification is on; the reason is in ``verify_reason`` and in the message."""
    context = request.getfixturevalue(f"{flaw}_ssl_context")
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on", tls=client_tls)
        async with await server.accept() as raw, ending(socket):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await TlsPeer(raw, context).handshake()
            error = await outcome(socket.opened)
            assert isinstance(error, TlsError)
            assert error.verify_reason
            assert error.verify_reason in str(error)


async def test_the_systems_authorities_are_the_default(server_ssl_context: ssl.SSLContext) -> None:
    """K11: without ``tls`` a certificate of the tests' own authority is not trusted."""
    with RawServer() as server:
        socket = connect(server.address, secure_transport="on")
        async with await server.accept() as raw, ending(socket):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await TlsPeer(raw, server_ssl_context).handshake()
            error = await outcome(socket.opened)
            assert isinstance(error, TlsError)
            assert "self-signed" in str(error.verify_reason) or "issuer" in str(error.verify_reason)


# -- K14: Happy Eyeballs -------------------------------------------------------------------------


async def test_the_next_address_is_tried_at_once_after_a_failure() -> None:
    """K14: a refused address costs no delay, however long that is."""
    with RawServer() as server:
        port = server.address.rpartition(":")[2]
        resolver = StaticResolver({"many.example": ["::1", "127.0.0.2", "127.0.0.1"]})
        dialer = DirectDialer(resolver=resolver, happy_eyeballs_delay_s=10_000)
        async with connect(f"many.example:{port}", dialer=dialer) as socket:
            assert (await socket.opened).remote_address == server.address


async def test_a_silent_address_does_not_hold_up_the_next() -> None:
    """K14: the second attempt starts while the first is pending, and wins."""
    with black_hole() as silent:
        host, _, port = silent.rpartition(":")
        with system.create_server(("127.0.0.7", int(port))):
            resolver = StaticResolver({"slow.example": [host, "127.0.0.7"]})
            dialer = DirectDialer(resolver=resolver, happy_eyeballs_delay_s=0.01)
            async with connect(f"slow.example:{port}", dialer=dialer) as socket:
                assert (await socket.opened).remote_address == f"127.0.0.7:{port}"


async def test_the_attempt_delay_is_that_of_the_rfc() -> None:
    """K14: 250 ms unless told otherwise (RFC 8305 §5)."""
    assert DirectDialer()._delay_s == 0.25


async def test_families_take_turns() -> None:
    """K14: the first address stays first, then the families alternate (RFC 8305 §4)."""
    with refusing_address() as address:
        port = address.rpartition(":")[2]
        dialer = DirectDialer(resolver=StaticResolver({"both.example": ["127.0.0.1", "127.0.0.2", "::1"]}))
        socket = connect(f"both.example:{port}", dialer=dialer)
        error = await outcome(socket.opened)
        await outcome(socket.closed)
        assert isinstance(error, ConnectError)
        assert [attempt.address for attempt in error.attempts] == [
            f"127.0.0.1:{port}",
            f"[::1]:{port}",
            f"127.0.0.2:{port}",
        ]


async def test_a_failed_connect_names_every_address_with_its_cause() -> None:
    """K14: in ``attempts`` and in the message; the last one's error is the cause."""
    with refusing_address() as address:
        port = address.rpartition(":")[2]
        dialer = DirectDialer(resolver=StaticResolver({"many.example": ["127.0.0.1", "127.0.0.2"]}))
        socket = connect(f"many.example:{port}", dialer=dialer)
        error = await outcome(socket.opened)
        await outcome(socket.closed)
        assert isinstance(error, ConnectError)
        assert isinstance(error, ConnectionError)
        assert [attempt.address for attempt in error.attempts] == [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]
        for attempt in error.attempts:
            assert isinstance(attempt.error, ConnectionRefusedError)
            assert attempt.elapsed_s >= 0
            assert f"{attempt.address}: Connection refused" in str(error)
        assert error.__cause__ is error.attempts[-1].error
        assert error.address == f"many.example:{port}"


async def test_a_timeout_names_the_addresses_that_had_failed() -> None:
    """K14: one refused, one silent: the refused one is in ``attempts``."""
    with black_hole() as silent:
        host, _, port = silent.rpartition(":")
        dialer = DirectDialer(resolver=StaticResolver({"half.example": ["127.0.0.8", host]}))
        socket = connect(f"half.example:{port}", dialer=dialer, connect_timeout_s=0.05)
        error = await outcome(socket.opened)
        await outcome(socket.closed)
        assert isinstance(error, ConnectTimeout)
        assert [attempt.address for attempt in error.attempts] == [f"127.0.0.8:{port}"]
        assert "127.0.0.8" in str(error)
        assert isinstance(error, TimeoutError)
