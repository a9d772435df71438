"""``import_from_javascript()`` and the camelCase façade of ``cloudflare:sockets``: sentences of runtime.md's §2.2."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import longshore
from longshore import ConnectError, ReadableStream, ResetError
from longshore.errors import ArgumentValueError, ClosedError
from longshore.workers import import_from_javascript
from longshore.workers._env import env
from longshore.workers._javascript_promise import JsError
from tests.link import BIG
from tests.loopback import refusing_address
from tests.testing.raw import RawPeer, RawServer
from tests.tls_peer import TlsPeer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

connect = import_from_javascript("cloudflare:sockets").connect


@asynccontextmanager
async def linked(options: dict[str, Any] | None = None) -> AsyncIterator[tuple[Any, RawPeer]]:
    """Give a socket of the façade and its peer."""
    with RawServer() as server:
        socket = connect(server.address, options)
        async with await server.accept() as peer:
            try:
                yield socket, peer
            finally:
                await socket.close().catch(lambda _: None)


async def warned() -> None:
    """Wait for the warning about a forgotten socket."""
    with pytest.warns(ResourceWarning, match="was never closed"):
        await _collected()


async def _collected() -> None:
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)


# -- modules -------------------------------------------------------------------------------------


def test_the_two_modules_are_there() -> None:
    workers = import_from_javascript("cloudflare:workers")
    assert workers.env is env
    for name in ("waitUntil", "withEnv", "WorkerEntrypoint", "DurableObject", "WorkflowEntrypoint"):
        assert hasattr(workers, name)
    assert import_from_javascript("cloudflare:sockets").connect is connect


@pytest.mark.parametrize("name", ["node:fs", "crypto", "internal:unsafe-eval", "cloudflare:vectorize", ""])
def test_no_other_module_is(name: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_from_javascript(name)
    only = "Only 'cloudflare:workers' and 'cloudflare:sockets' are available in the global scope."
    assert str(caught.value) == f"Failed to import '{name}': {only}"
    assert "Longshore runs CPython" in caught.value.__notes__[0]


async def test_with_env_holds_for_the_whole_function() -> None:
    workers = import_from_javascript("cloudflare:workers")

    async def later() -> Any:
        await asyncio.sleep(0)
        return workers.env.FOO

    assert workers.withEnv({"FOO": 1}, lambda: env.FOO) == 1
    assert await workers.withEnv({"FOO": 2}, later) == 2
    assert not hasattr(env, "FOO")


# -- reading and writing -------------------------------------------------------------------------


async def test_the_usual_exchange() -> None:
    """As in the announcement, in Python as it is written for Pyodide."""
    async with linked() as (socket, peer):
        info = await socket.opened
        assert info.remoteAddress.startswith("127.0.0.1:")
        assert info.localAddress.startswith("127.0.0.1:")
        assert (socket.secureTransport, socket.upgraded) == ("off", False)
        writer = socket.writable.getWriter()
        assert writer.desiredSize > 0
        await writer.ready
        await writer.write(b"ping\n")
        writer.releaseLock()
        assert await peer.receive_exactly(5) == b"ping\n"
        await peer.send(b"pong")
        reader = socket.readable.getReader()
        result = await reader.read()
        assert (result.done, bytes(result.value)) == (False, b"pong")
        assert result.value.to_py().tobytes() == result.value.to_bytes() == b"pong"
        assert result.value.to_string() == "pong"
        assert result.value.byteLength == result.value.length == 4
        assert result.to_py() == {"value": b"pong", "done": False}
        await peer.send_eof()
        result = await reader.read()
        assert (result.done, result.value) == (True, None)
        await reader.closed
        reader.releaseLock()
        await socket.close()
        await socket.closed


async def test_calls_take_effect_without_await_and_in_order() -> None:
    """A promise of JavaScript starts by itself."""
    with RawServer() as server:
        socket = connect(server.address)
        writer = socket.writable.getWriter()
        for number in range(10):
            writer.write(b"%d" % number)
        writer.close()
        async with await server.accept() as peer:
            assert await peer.receive_until_end() == (b"0123456789", "eof")
            await socket.close()


async def test_a_promise_may_be_awaited_again_and_has_thens() -> None:
    async with linked() as (socket, peer):
        reading = socket.readable.getReader().read()
        await peer.send(b"x")
        assert (await reading).value == (await reading).value == b"x"

        async def add(result: Any) -> bytes:
            return bytes(result.value) + b"y"

        calls: list[str] = []
        assert await reading.then(add).finally_(lambda: calls.append("finally")) == b"xy"
        assert await reading.then(lambda _: 1 / 0).catch(lambda error: type(error).__name__) == "ZeroDivisionError"
        assert await reading.then() is await reading
        assert calls == ["finally"]


async def test_a_slow_peer_makes_ready_wait() -> None:
    async with linked({"highWaterMark": 1024}) as (socket, peer):
        await socket.opened
        writer = socket.writable.getWriter()
        writing = writer.write(BIG * 8)
        assert writer.desiredSize <= 0
        assert not writing.done()
        ready = writer.ready
        with pytest.raises(TypeError, match="pending"):
            writer.releaseLock()
        closing = writer.close()
        assert await peer.receive_until_end() == (BIG * 8, "eof")
        await writing
        await closing
        assert (await ready.catch(str)) in (None, "This WritableStream has been closed.")


async def test_one_stream_is_piped_into_another() -> None:
    async with linked() as (one, first), linked() as (two, second):
        piping = one.readable.pipeTo(two.writable)
        await first.send(b"through")
        await first.send_eof()
        await piping
        assert await second.receive_until_end() == (b"through", "eof")
        with pytest.raises(TypeError, match=r"^This WritableStream has been closed\.$"):
            await two.writable.getWriter().write(b"more")


async def test_tee_and_iteration() -> None:
    async with linked() as (socket, peer):
        left, right = socket.readable.tee()
        await peer.send(b"both")
        await peer.send_eof()
        assert [chunk.to_bytes() async for chunk in left] == [b"both"]
        assert (await right.getReader().read()).value.to_bytes() == b"both"
        assert isinstance(left, ReadableStream)


async def test_cancel_discards_what_comes() -> None:
    async with linked() as (socket, peer):
        await socket.readable.cancel("enough")
        await peer.send(b"unwanted")
        assert (await socket.readable.getReader().read()).done


# -- locks ---------------------------------------------------------------------------------------


async def test_locks_have_their_sentences() -> None:
    async with linked() as (socket, _):
        reader, writer = socket.readable.getReader(), socket.writable.getWriter()
        assert socket.readable.locked
        assert socket.writable.locked
        for call, sentence in (
            (socket.readable.getReader, "This ReadableStream is currently locked to a reader."),
            (socket.writable.getWriter, "This WritableStream is currently locked to a writer."),
        ):
            with pytest.raises(TypeError) as caught:
                call()
            assert str(caught.value) == sentence
        for promise, sentence in (
            (socket.readable.cancel(), "This ReadableStream is currently locked to a reader."),
            (socket.readable.pipeTo(socket.writable), "This ReadableStream is currently locked to a reader."),
            (socket.writable.close(), "This WritableStream is currently locked to a writer."),
            (socket.writable.abort(), "This WritableStream is currently locked to a writer."),
        ):
            assert str(await promise.catch(lambda error: error)) == sentence
        pending = reader.read()
        second = await reader.read().catch(str)
        assert second == "This ReadableStream only supports a single pending read request at a time."
        with pytest.raises(TypeError):
            reader.releaseLock()
        await reader.cancel()
        assert (await pending).done
        reader.releaseLock()
        writer.releaseLock()
        assert str(await reader.read().catch(lambda error: error)) == "This ReadableStream reader has been released."
        assert (
            str(await writer.write(b"").catch(lambda error: error)) == "This WritableStream writer has been released."
        )
        with pytest.raises(TypeError, match="has been released"):
            _ = writer.desiredSize
        with pytest.raises(TypeError, match="read_into"):
            socket.readable.getReader({"mode": "byob"})


async def test_only_bytes_and_text_can_be_written() -> None:
    async with linked() as (socket, peer):
        writer = socket.writable.getWriter()
        with pytest.raises(TypeError, match="cannot write a int"):
            await writer.write(5)
        await writer.write("tëxt")
        assert await peer.receive_exactly(5) == "tëxt".encode()


# -- errors --------------------------------------------------------------------------------------

ADDRESSES = [
    ("", "Specified address is missing hostname."),
    ("localhost", "Specified address is missing port."),
    ("localhost:", "Specified address is missing port."),
    (":80", "Specified address could not be parsed."),
    ("localhost:99999", "Specified address could not be parsed."),
    ("localhost:port", "Specified address could not be parsed."),
    ("a b:80", "Specified address is empty string, contains unsupported characters or is too long."),
    (
        {"hostname": "", "port": 80},
        "Specified address is empty string, contains unsupported characters or is too long.",
    ),
    ({"hostname": "a", "port": 70000}, "Value out of range. Must be less than or equal to 65535."),
    (5, "Specified address could not be parsed."),
]


@pytest.mark.parametrize(("address", "sentence"), ADDRESSES)
async def test_a_wrong_address(address: Any, sentence: str) -> None:
    with pytest.raises(TypeError) as caught:
        connect(address)
    assert str(caught.value) == sentence
    assert isinstance(caught.value.__cause__, longshore.UsageError)


async def test_wrong_options() -> None:
    with pytest.raises(TypeError) as caught:
        connect("localhost:1", {"secureTransport": "maybe"})
    assert str(caught.value) == "Unsupported value in secureTransport socket option: maybe"
    with pytest.raises(TypeError, match="option high_water_mark=0 must be at least 1 byte") as caught:
        connect("localhost:1", {"highWaterMark": 0})
    assert isinstance(caught.value.__cause__, ArgumentValueError)


def test_without_a_loop() -> None:
    with pytest.raises(JsError, match="needs a running event loop"):
        connect("localhost:1")


async def test_a_refused_connection_rejects_everything() -> None:
    with refusing_address() as nobody:
        socket = connect(nobody)
        reading = socket.readable.getReader().read()
        for promise in (socket.opened, socket.closed, reading, socket.opened):
            with pytest.raises(JsError) as caught:
                await promise
            assert str(caught.value) == "proxy request failed, cannot connect to the specified address"
            assert caught.value.name == "Error"
            assert isinstance(caught.value.__cause__, ConnectError)


async def test_a_web_port_brings_a_hint() -> None:
    from longshore.workers._javascript_promise import js_error  # noqa: PLC0415

    for port, is_hinted in ((80, True), (443, True), (8080, False)):
        error = js_error(ConnectError("no", address=f"[::1]:{port}"))
        assert str(error).endswith("consider using fetch instead") == is_hinted


async def test_a_reset_is_a_lost_connection() -> None:
    async with linked() as (socket, peer):
        await socket.opened
        peer.abort()
        with pytest.raises(JsError, match=r"^Network connection lost\.$") as caught:
            await socket.readable.getReader().read()
        assert isinstance(caught.value.__cause__, ResetError)


async def test_the_sentences_after_close() -> None:
    async with linked() as (socket, _):
        await socket.opened
        await socket.close()
        await socket.close()
        with pytest.raises(TypeError, match=r"^This WritableStream has been closed\.$") as caught:
            await socket.writable.getWriter().write(b"late")
        assert isinstance(caught.value.__cause__, ClosedError)
        with pytest.raises(TypeError, match=r"^This ReadableStream has been closed\.$"):
            await socket.readable.getReader().read()


# -- TLS -----------------------------------------------------------------------------------------


async def test_start_tls_refuses_with_its_sentences() -> None:
    with RawServer() as server:
        for mode, sentence in (
            ("off", "The `secureTransport` socket option must be set to 'starttls' for startTls to be used."),
            ("on", "Cannot startTls on a TLS socket."),
        ):
            socket = connect(server.address, {"secureTransport": mode})
            with pytest.raises(TypeError) as caught:
                socket.startTls()
            assert str(caught.value) == sentence
            await socket.close().catch(lambda _: None)
    async with linked({"secureTransport": "starttls"}) as (socket, _):
        writer = socket.writable.getWriter()
        with pytest.raises(TypeError, match="while a stream is locked"):
            socket.startTls()
        writer.releaseLock()
        secure = socket.startTls()
        with pytest.raises(TypeError, match=r"^startTls has already been called on this socket"):
            socket.startTls()
        await secure.close().catch(lambda _: None)


async def test_start_tls_upgrades(
    server_ssl_context: ssl.SSLContext, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longshore.net.tls_context import _cached_context  # noqa: PLC0415 - the variable is read when it is made

    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    _cached_context.cache_clear()
    try:
        async with linked({"secureTransport": "starttls"}) as (socket, raw):
            writer = socket.writable.getWriter()
            writer.write(b"STARTTLS\n")
            writer.releaseLock()
            secure = socket.startTls({"expectedServerHostname": "localhost"})
            assert await raw.receive_exactly(9) == b"STARTTLS\n"
            peer = TlsPeer(raw, server_ssl_context)
            await peer.handshake()
            await secure.opened
            await socket.closed
            assert (socket.upgraded, secure.secureTransport) == (True, "on")
            await secure.writable.getWriter().write(b"secret")
            assert await peer.receive_exactly(6) == b"secret"
            await secure.close()
    finally:
        _cached_context.cache_clear()


# -- life ----------------------------------------------------------------------------------------


async def test_waiting_for_opened_keeps_the_socket() -> None:
    with RawServer() as server:
        opening = connect(server.address).opened
        gc.collect()
        async with await server.accept():
            info = await opening
            assert info.remoteAddress == server.address
            del opening
            await warned()


async def test_a_forgotten_socket_is_closed_although_somebody_looked_at_closed() -> None:
    with RawServer() as server:
        socket = connect(server.address)
        async with await server.accept() as peer:
            await socket.opened
            assert not socket.closed.done()
            del socket
            await warned()
            assert await peer.receive_until_end() == (b"", "reset")
