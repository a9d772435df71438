"""``create_connection()`` and ``open_connection()``: arguments, failures, and programs that know nothing of us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import (
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    ConnectError,
    DirectDialer,
    EgressPolicy,
    PolicyDenied,
    SocketError,
    TlsError,
)
from longshore.adapters.asyncio_streams import open_connection
from longshore.adapters.protocol import create_connection
from longshore.testing import StaticResolver
from tests.adapters.recorder import BufferedRecorder, Recorder, driven
from tests.link import turns
from tests.server_process import HOST, free_port
from tests.testing.raw import RawServer

if TYPE_CHECKING:
    import ssl

    from tests.link import Link
    from tests.server_process import Server


async def test_a_context_and_a_name_make_tls(link: Link, client_context: ssl.SSLContext) -> None:
    tls_link = type(link)(True, link.server_context, link.client_tls)
    with RawServer() as server:
        _, port = server.address.split(":")
        connecting = asyncio.ensure_future(
            create_connection(
                Recorder, "somewhere.example", int(port), ssl=client_context, server_hostname="localhost",
                dialer=DirectDialer(resolver=StaticResolver({"somewhere.example": ["127.0.0.1"]})),
                local_addr=("127.0.0.1", 0),
            )
        )  # fmt: skip
        async with await tls_link.accept(server) as peer:
            transport, protocol = await connecting
            assert transport.get_extra_info("ssl_object").server_hostname == "localhost"
            await peer.send(b"hello")
            assert await protocol.until_received(5) == b"hello"
            transport.close()
            await protocol.until("lost")


async def test_true_is_the_trust_of_the_system(echo_server: Server) -> None:
    assert echo_server.tls_port is not None
    with pytest.raises(TlsError, match="certificate refused"):
        await create_connection(Recorder, "localhost", echo_server.tls_port, ssl=True)
    with pytest.raises(TlsError, match="certificate refused"):
        await open_connection("localhost", echo_server.tls_port, ssl=True)


async def test_open_connection_is_half_open_as_in_asyncio(echo_server: Server, client_context: ssl.SSLContext) -> None:
    """K10: and, unlike in asyncio, under TLS too."""
    reader, writer = await open_connection("localhost", echo_server.tls_port or 0, ssl=client_context)
    writer.write(b"question")
    writer.write_eof()
    assert await reader.read() == b"question"
    writer.close()
    await writer.wait_closed()


async def test_a_bad_limit_leaves_nothing_open(echo_server: Server) -> None:
    with pytest.raises(ValueError, match="limit"):
        await open_connection(HOST, echo_server.port, limit=0)


async def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentValueError, match="server_hostname"):
        await create_connection(Recorder, HOST, 80, server_hostname="localhost")
    with pytest.raises(ArgumentTypeError, match="ssl='yes'"):
        await create_connection(Recorder, HOST, 80, ssl="yes")  # type: ignore[arg-type]  # the point
    with pytest.raises(ArgumentTypeError, match="'sock' is unknown"):
        await create_connection(Recorder, HOST, 80, sock=None)
    with pytest.raises(ArgumentValueError, match="port"):
        await create_connection(Recorder, HOST, 0)


async def test_a_failure_to_connect_is_raised_and_no_protocol_made() -> None:
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    with pytest.raises(ConnectError):
        await create_connection(factory, HOST, free_port())
    with pytest.raises(PolicyDenied):
        await create_connection(factory, HOST, 80, dialer=DirectDialer(policy=EgressPolicy()))
    assert not made


async def test_cancelling_gives_the_connection_up() -> None:
    """K13."""
    resolver = StaticResolver({"slow.example": ["127.0.0.1"]}, gate=asyncio.Event())
    connecting = asyncio.ensure_future(
        create_connection(Recorder, "slow.example", 80, dialer=DirectDialer(resolver=resolver))
    )
    await turns()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


async def test_an_error_of_the_factory_or_of_connection_made_is_raised(link: Link) -> None:
    class Refuses(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise LookupError("not today")

    def no_factory() -> Recorder:
        raise LookupError("not today")

    for factory in (no_factory, Refuses):
        with RawServer() as server:
            _, port = server.address.split(":")
            connecting = asyncio.ensure_future(create_connection(factory, HOST, int(port), **link.options))
            async with await link.accept(server) as peer:
                with pytest.raises(LookupError, match="not today"):
                    await connecting
                assert await peer.receive_until_end() == (b"", "reset")


@pytest.mark.parametrize("name", ["data_received", "eof_received"])
async def test_an_error_of_the_protocol_is_reported_and_ends_the_connection(link: Link, name: str) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a bug")

    contexts: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    former = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    try:
        async with driven(link, Recorder) as (transport, protocol, peer):
            setattr(protocol, name, fail)
            await (peer.send(b"data") if name == "data_received" else peer.send_eof())
            await protocol.until("lost")
            assert isinstance(protocol.error, LookupError)
            assert contexts[0]["message"] == f"protocol.{name}() call failed"
            assert contexts[0]["exception"] is protocol.error
            assert contexts[0]["transport"] is transport
            assert (await peer.receive_until_end())[1] == "reset"
    finally:
        loop.set_exception_handler(former)


async def test_an_empty_buffer_is_an_error_of_the_protocol(link: Link) -> None:
    loop = asyncio.get_running_loop()
    former = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)
    try:
        async with driven(link, lambda: BufferedRecorder(buffer_bytes=0)) as (_, protocol, peer):
            await peer.send(b"data")
            await protocol.until("lost")
            assert isinstance(protocol.error, RuntimeError)
    finally:
        loop.set_exception_handler(former)


async def test_ending_all_tasks_resets_the_connection(link: Link) -> None:
    """As ``asyncio.run()`` does it at the end."""
    async with driven(link, Recorder) as (transport, protocol, peer):
        await turns()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("read "):
                task.cancel()
        await protocol.until("lost")
        assert await peer.receive_until_end() == (b"", "reset")
        with pytest.raises(ClosedError):
            await transport.socket.closed


async def test_every_failure_but_two_is_an_os_error() -> None:
    """Programs for asyncio catch ``OSError``."""
    with pytest.raises(OSError, match="refused"):
        await create_connection(Recorder, HOST, free_port())
    with pytest.raises(SocketError):
        await create_connection(Recorder, "nowhere.example", 1, dialer=DirectDialer(resolver=StaticResolver({})))
