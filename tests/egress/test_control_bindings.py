"""Tests of ``longshore.egress.control``: bindings, whose TLS is made by the egress process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from longshore.config.model import EgressBinding, MtlsBinding, NetworkRules
from longshore.core.tls_options import TlsRequest
from longshore.credentials.store import CredentialStore
from longshore.errors import (
    ResetError,
    TlsError,
    UsageError,
)
from longshore.net.channel import Channel
from longshore.proto.ipc.egress import (
    DialFailed,
    HandshakeAsk,
    StartTls,
)
from longshore.proto.ipc.frames import make_frame
from longshore.testing import StaticResolver, StreamDriver
from tests.egress.broker_rig import broker, door, make_config, request
from tests.testing.raw import RawServer
from tests.testing.tls_peer import CA, NAME, TlsPeer, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from longshore.abc import Connection, DialRequest
    from longshore.egress.client import BrokerDialer
    from longshore.net.fdpass import Received

NAMES = StaticResolver({NAME: ["127.0.0.1"]})


def port_of(server: RawServer) -> str:
    return server.address.rpartition(":")[2]


# -- bindings --------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with an authority and a client certificate."""
    folder = tmp_path / "store"
    filled = CredentialStore(folder)
    filled.put_ca("harbour", CA.cert_pem.bytes())
    identity = trustme.CA().issue_cert("shop@example.com")
    filled.put_client(
        "me", b"".join(blob.bytes() for blob in identity.cert_chain_pems) + identity.private_key_pem.bytes()
    )
    return folder


def bound_config(server: RawServer, **fields: Any) -> Any:
    fields.setdefault("ca", "harbour")
    binding = EgressBinding(binding="BILLING", address=f"{NAME}:{port_of(server)}", **fields)
    certificate = MtlsBinding(binding="CERT", certificate="me", ca="harbour")
    return make_config(network=NetworkRules(), egress=(binding,), mtls_certificates=(certificate,))


def bound(**options: Any) -> DialRequest:
    """What ``env.BILLING.connect()`` asks for."""
    options.setdefault("tls", TlsRequest("what.the.worker.says"))
    return request("what.the.worker.says:1", binding="BILLING", **options)


@asynccontextmanager
async def tls_peer(server: RawServer, context: ssl.SSLContext | None = None) -> AsyncIterator[TlsPeer]:
    peer = TlsPeer(await server.accept(), context or server_context())
    async with peer:
        await peer.handshake()
        yield peer


async def dial_bound(dialer: BrokerDialer, server: RawServer) -> tuple[Connection, TlsPeer]:
    dialing = asyncio.create_task(dialer.dial(bound()))
    peer = TlsPeer(await server.accept(), server_context())
    await peer.handshake()
    return await dialing, peer


async def test_a_binding_is_the_permission_and_tls_is_made_for_it(store: Path) -> None:
    with RawServer() as server:
        config = bound_config(server, alpn=("billing/1",))
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, rig):
            connection, peer = await dial_bound(dialer, server)
            assert connection.info.remote_address == server.address
            assert connection.info.tls_version == "TLSv1.3"
            assert connection.info.peer_certificate is not None
            assert connection.info.timings.tls_s is not None
            (record,) = rig.records
            assert (record.event, record.via, record.binding) == ("open", "binding", "BILLING")
            assert (record.name, record.rule) == (NAME, "binding BILLING")
            assert record.tls_s is not None
            driver = StreamDriver(connection.stream)
            await driver.send(b"ping")
            assert await peer.receive() == b"ping"
            await peer.send(b"pong")
            await peer.send_eof()
            assert await driver.receive() == b"pong"
            assert await driver.receive() == b""
            driver.close()
            peer.close()


async def test_a_tunnel_that_is_cut_is_an_error_and_no_end(store: Path) -> None:
    """K5."""
    with RawServer() as server:
        async with broker(config=bound_config(server), resolver=NAMES, store=store) as (dialer, _):
            connection, peer = await dial_bound(dialer, server)
            driver = StreamDriver(connection.stream)
            peer.raw.abort()
            with pytest.raises(ResetError):
                await driver.receive()
            driver.close()


async def test_a_worker_that_dies_does_not_look_like_one_that_has_finished(store: Path) -> None:
    """K5."""
    with RawServer() as server:
        async with broker(config=bound_config(server), resolver=NAMES, store=store) as (dialer, rig):
            connection, peer = await dial_bound(dialer, server)
            driver = StreamDriver(connection.stream)
            await driver.send(b"half of it")
            assert await peer.receive() == b"half of it"
            await rig.control.aclose()
            assert (await peer.raw.receive_until_end())[1] == "reset"
            with pytest.raises(ResetError, match="egress process"):
                await driver.receive()
            driver.close()
            peer.close()


async def test_a_handshake_that_fails_is_told_and_audited(store: Path) -> None:
    with RawServer() as server:
        config = bound_config(server, sni="someone.else.example")
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, rig):
            dialing = asyncio.create_task(dialer.dial(bound()))
            peer = TlsPeer(await server.accept(), server_context())
            answering = asyncio.create_task(peer.handshake())
            with pytest.raises(TlsError, match="Hostname mismatch"):
                await dialing
            await asyncio.wait([answering])
            assert answering.exception() is not None
            peer.close()
            assert rig.events() == ["fail"]
            assert "Hostname mismatch" in rig.records[0].outcome


async def test_a_credential_that_is_missing_is_told_to_the_operator(store: Path) -> None:
    with RawServer() as server:
        config = bound_config(server, ca="lost")
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, rig):
            with pytest.raises(TlsError, match="its credentials cannot be used") as caught:
                await dialer.dial(bound())
            assert "lost" not in str(caught.value)
            assert "lost" in rig.records[0].outcome
            (await server.accept()).close()


async def test_a_dial_by_binding_that_is_cancelled_in_the_handshake_leaves_nothing(store: Path) -> None:
    with RawServer() as server:
        async with broker(config=bound_config(server), resolver=NAMES, store=store) as (dialer, rig):
            dialing = asyncio.create_task(dialer.dial(bound()))
            async with await server.accept() as peer:
                assert await peer.receive()
                dialing.cancel()
                await asyncio.wait([dialing])
                assert dialing.cancelled()
                assert (await peer.receive_until_end())[1] == "reset"
            assert rig.events() == ["fail"]


async def test_a_worker_cannot_use_what_it_does_not_have() -> None:
    async with broker() as (dialer, rig):
        with pytest.raises(UsageError, match=r"no .* binding 'BILLING'"):
            await dialer.dial(bound())
        assert rig.records == []


# -- STARTTLS --------------------------------------------------------------------------------------


async def test_a_plain_connection_of_a_binding_is_upgraded(store: Path) -> None:
    with RawServer() as server:
        config = bound_config(server, secure_transport="starttls")
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, _):
            connection = await dialer.dial(bound(tls=None))
            raw = await server.accept()
            driver = StreamDriver(connection.stream)
            await raw.send(b"220 ready\r\n")
            assert await driver.receive() == b"220 ready\r\n"
            connection.stream.set_owner(None)
            peer = TlsPeer(raw, server_context())
            answering = asyncio.create_task(peer.handshake())
            upgraded = await dialer.start_tls(connection, TlsRequest("x", binding="BILLING"))
            await answering
            assert connection.stream.fileno() == -1
            assert upgraded.info.tls_version == "TLSv1.3"
            driver = StreamDriver(upgraded.stream)
            await peer.send(b"pong")
            assert await driver.receive() == b"pong"
            driver.close()
            peer.close()


@pytest.mark.parametrize("binding", ["BILLING", "CERT", "NOBODY"])
async def test_only_what_was_dialed_with_a_binding_is_upgraded_with_it(binding: str, store: Path) -> None:
    """A worker could pass any descriptor, one of its own servers for example."""
    with RawServer() as server:
        config = bound_config(server, secure_transport="starttls")
        config = make_config(egress=config.egress, mtls_certificates=config.mtls_certificates)
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, _):
            connection = await dialer.dial(request(server.address))
            async with await server.accept() as peer:
                with pytest.raises(UsageError, match=f"was not dialed with binding '{binding}'"):
                    await dialer.start_tls(connection, TlsRequest("x", binding=binding))
                assert (await peer.receive_until_end()) == (b"", "eof")


async def test_a_certificate_of_one_binding_is_not_shown_on_the_connection_of_another(store: Path) -> None:
    with RawServer() as server:
        config = bound_config(server, secure_transport="starttls")
        async with broker(config=config, resolver=NAMES, store=store) as (dialer, _):
            connection = await dialer.dial(bound(tls=None))
            with pytest.raises(UsageError, match="was not dialed with binding 'CERT'"):
                await dialer.start_tls(connection, TlsRequest("x", binding="CERT"))
            (await server.accept()).close()


@pytest.mark.parametrize("kind", ["pipe", "unix", "listening", "unconnected"])
async def test_odd_descriptors_are_refused(kind: str, store: Path) -> None:
    ask = StartTls(dial_id=1, binding="BILLING", remote_address="x", tls=HandshakeAsk(server_name="x"))
    with RawServer() as server, contextlib.ExitStack() as stack:
        if kind == "pipe":
            fds = os.pipe()
            for fd in fds:
                stack.callback(os.close, fd)
            fd = fds[0]
        elif kind == "unix":
            fd, _ = (stack.enter_context(sock).fileno() for sock in socket.socketpair())
        elif kind == "listening":
            fd = server.sock.fileno()
        else:
            fd = stack.enter_context(socket.socket()).fileno()
        async with door(config=bound_config(server), store=store) as rig:
            socket.send_fds(rig.mine, [make_frame(ask, 1)], [fd])
            channel = Channel(rig.mine)
            before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
            received: Received | None = await channel.receive()
            if kind == "pipe":
                assert received is None
                assert sys.platform != "linux" or len(os.listdir("/proc/self/fd")) < before, "the channel is closed"
                assert rig.events() == ["refuse"]
            else:
                assert received is not None
                assert isinstance(received[0], DialFailed)
            channel.close()
