"""Private names of bindings: a driver's plain connection becomes one with TLS, made by the host."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.config.model import EgressBinding, WorkerConfig
from longshore.core.private_names import private_name
from longshore.credentials.kinds import Kind
from longshore.credentials.store import CredentialStore
from longshore.egress import relay as relay_module
from longshore.egress.contexts import ContextMaker
from longshore.egress.flows import Flows
from longshore.egress.relay import BindingRelay
from tests.certificates import CertificateFiles, server_context
from tests.testing.raw import RawPeer, RawServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trustme

    from longshore.proto.ipc.egress import AuditRecord

BULK = b"0123456789abcdef" * 65536


class Scene:
    """The relay of a worker with one binding, ``PAY``."""

    def __init__(self, relay: BindingRelay, records: list[AuditRecord]) -> None:
        self.relay = relay
        self.records = records

    async def connect(self) -> RawPeer:
        """Connect like a driver whose call is trapped."""
        sock = socket.socket()
        sock.setblocking(False)
        ip, port = self.relay.expect("PAY", sock)
        await asyncio.get_running_loop().sock_connect(sock, (str(ip), port))
        return RawPeer(sock)


@asynccontextmanager
async def scene(
    tmp_path: Path, ca: trustme.CA, address: str, *, trusts: bool = True, secure_transport: str = "on"
) -> AsyncIterator[Scene]:
    store = CredentialStore(tmp_path / "store")
    store.put_ca("corp", ca.cert_pem.bytes())
    binding = EgressBinding(
        binding="PAY", address=address, secure_transport=secure_transport, ca="corp" if trusts else None
    )
    config = WorkerConfig(name="shop", main="", module_root="", project_dir="", egress=(binding,))
    records: list[AuditRecord] = []
    flows = Flows()
    context = ContextMaker(store, flows, records.append).make(1, config)
    relay = BindingRelay(context)
    try:
        yield Scene(relay, records)
    finally:
        relay.close()
        relay.close()
        context.gate.close()
        flows.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def echo_server(context: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Answer everything, and end when the client has."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(10):
            await done.wait()


@pytest.mark.parametrize("secure_transport", ["on", "off"])
async def test_a_driver_speaks_in_the_clear(
    tmp_path: Path, ca: trustme.CA, server_cert_files: CertificateFiles, secure_transport: str
) -> None:
    context = server_context(server_cert_files) if secure_transport == "on" else None
    async with (
        echo_server(context) as address,
        scene(tmp_path, ca, address, secure_transport=secure_transport) as here,
        await here.connect() as driver,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(driver.send(BULK))
            echoed = await driver.receive_exactly(len(BULK))
        assert echoed == BULK
        await driver.send_eof()
        assert await driver.receive_until_end() == (b"", "eof")
        (opened,) = [each for each in here.records if each.event == "open"]
        assert (opened.binding, opened.rule, opened.name) == ("PAY", "binding PAY", "localhost")
        assert (opened.tls_s is not None) == (secure_transport == "on")


async def test_a_server_that_is_not_trusted(
    tmp_path: Path, ca: trustme.CA, server_cert_files: CertificateFiles
) -> None:
    async with (
        echo_server_that_fails(server_cert_files) as address,
        scene(tmp_path, ca, address, trusts=False) as here,
        await here.connect() as driver,
    ):
        assert await driver.receive_until_end() == (b"", "reset")
        (failed,) = [each for each in here.records if each.event == "fail"]
        assert failed.outcome.startswith("TLS failed")


@asynccontextmanager
async def echo_server_that_fails(files: CertificateFiles) -> AsyncIterator[str]:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=server_context(files))
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"


async def test_a_refused_connection_is_a_reset(tmp_path: Path, ca: trustme.CA) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        async with scene(tmp_path, ca, address) as here, await here.connect() as driver:
            assert await driver.receive_until_end() == (b"", "reset")
            (failed,) = [each for each in here.records if each.event == "fail"]
            assert failed.outcome == "refused"


async def assert_is_reset(sock: socket.socket, port: int) -> None:
    """Connect, and be thrown out: sometimes so early that connecting fails."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)

    async def reach() -> None:
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_recv(sock, 1)

    with pytest.raises(ConnectionResetError):
        await reach()


async def test_nobody_else_gets_in(tmp_path: Path, ca: trustme.CA) -> None:
    async with scene(tmp_path, ca, "127.0.0.1:1") as here:
        with socket.socket() as sock:
            _, port = here.relay.expect("PAY", sock)
            with socket.socket() as stranger:
                await assert_is_reset(stranger, port)
        assert here.records == []


async def test_a_source_port_is_a_sign_for_a_while_only(
    tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ACCEPT_TIMEOUT_S", 0.01)
    async with scene(tmp_path, ca, "127.0.0.1:1") as here:
        with socket.socket() as sock:
            sock.setblocking(False)
            _, port = here.relay.expect("PAY", sock)
            while here.relay._expected:
                await asyncio.sleep(0.001)
            await assert_is_reset(sock, port)


async def test_an_ipv6_socket_is_led_there_too(tmp_path: Path, ca: trustme.CA) -> None:
    async with echo_server(None) as address, scene(tmp_path, ca, address, secure_transport="off") as here:
        sock = socket.socket(socket.AF_INET6)
        sock.setblocking(False)
        ip, port = here.relay.expect("PAY", sock)
        await asyncio.get_running_loop().sock_connect(sock, (f"::ffff:{ip}", port))
        async with RawPeer(sock) as driver:
            await driver.send(b"hello")
            assert await driver.receive_exactly(5) == b"hello"


async def test_a_reset_of_the_server_is_one_for_the_driver(tmp_path: Path, ca: trustme.CA) -> None:
    with RawServer() as server:
        async with scene(tmp_path, ca, server.address, secure_transport="off") as here, await here.connect() as driver:
            peer = await server.accept()
            await driver.send(b"x")
            assert await peer.receive() == b"x"
            peer.abort()
            assert await driver.receive_until_end() == (b"", "reset")


async def test_a_reset_of_the_driver_is_one_for_the_server(tmp_path: Path, ca: trustme.CA) -> None:
    with RawServer() as server:
        async with scene(tmp_path, ca, server.address, secure_transport="off") as here:
            driver = await here.connect()
            async with await server.accept() as peer:
                await driver.send(b"x")
                assert await peer.receive() == b"x"
                driver.abort()
                assert await peer.receive_until_end() == (b"", "reset")


async def test_closing_resets_what_is_joined_and_gives_up_what_is_not(tmp_path: Path, ca: trustme.CA) -> None:
    with RawServer() as server:
        async with scene(tmp_path, ca, server.address, secure_transport="off") as here:
            async with await here.connect() as driver, await server.accept() as peer:
                await driver.send(b"x")
                assert await peer.receive() == b"x"
                here.relay.close()
                assert await driver.receive_until_end() == (b"", "reset")
                assert await peer.receive_until_end() == (b"", "reset")
            with socket.socket() as late, pytest.raises(OSError, match="No route to host"):
                here.relay.expect("PAY", late)


@pytest.mark.parametrize(
    ("binding", "name"),
    [("BILLING", "billing.binding.longshore.internal"), ("PAY_API_2", "pay-api-2.binding.longshore.internal")],
)
def test_private_names(binding: str, name: str) -> None:
    assert private_name(binding) == name


async def test_the_context_of_a_worker_knows_its_private_names(tmp_path: Path) -> None:
    config: Any = WorkerConfig(
        name="shop",
        main="",
        module_root="",
        project_dir="",
        egress=(EgressBinding(binding="PAY", address="a.example:1"),),
    )
    flows = Flows()
    context = ContextMaker(CredentialStore(tmp_path), flows, lambda _: None).make(1, config)
    ip = context.names.binding_address("PAY.binding.longshore.internal")
    assert ip is not None
    destination = context.names.destination(ip)
    assert destination is not None
    assert destination.binding == "PAY"
    context.gate.close()
    flows.close()


async def test_a_driver_that_leaves_the_port_to_connect_is_known_too(tmp_path: Path, ca: trustme.CA) -> None:
    async with scene(tmp_path, ca, "127.0.0.1:1") as here:
        with socket.socket() as sock:
            sock.setsockopt(socket.IPPROTO_IP, relay_module._IP_BIND_ADDRESS_NO_PORT, 1)
            here.relay.expect("PAY", sock)
            assert sock.getsockname()[1] in here.relay._expected
            assert 0 not in here.relay._expected


async def test_more_connections_than_there_may_be(
    tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MAX_RELAYED", 1)
    async with scene(tmp_path, ca, "127.0.0.1:1") as here:
        with socket.socket() as first, socket.socket() as second:
            here.relay.expect("PAY", first)
            with pytest.raises(OSError, match="1 connections are relayed already"):
                here.relay.expect("PAY", second)


async def test_the_operator_is_told_why_credentials_cannot_be_used(
    tmp_path: Path, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    with RawServer() as server:
        async with scene(tmp_path, ca, server.address) as here:
            CredentialStore(tmp_path / "store").remove(Kind.CA, "corp")
            async with await here.connect() as driver:
                assert await driver.receive_until_end() == (b"", "reset")
                (await server.accept()).close()
    assert "TLS of the binding 'PAY' of worker 'shop' failed: " in caplog.text
    assert "corp" in caplog.text
