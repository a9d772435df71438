"""``TlsTransport``: two of them back to back, and what a peer may do to one."""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from longshore.pool.servers.tls_transport import TlsTransport

if TYPE_CHECKING:
    import trustme


class Pipe(asyncio.Transport):
    """One end of a connection without a network; ``deliver`` brings what was written to the other end."""

    def __init__(self) -> None:
        super().__init__()
        self.other: Pipe | None = None
        self.protocol: Any = None
        self.pending = bytearray()
        self.is_reading_paused = False
        self.is_closed = False
        self.was_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.pending += data

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.was_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return "below" if name == "peername" else default

    def deliver(self, count: int | None = None) -> bool:
        """Bring up to so many bytes; False when there are none."""
        other = self.other
        assert other is not None
        data = bytes(self.pending[:count])
        if not data or other.is_reading_paused or other.protocol is None:
            return False
        del self.pending[: len(data)]
        other.protocol.data_received(data)
        return True


class Above(asyncio.Protocol):
    """What uses TLS."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: list[Exception | None] = []
        self.pauses = 0

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.pauses += 1

    def resume_writing(self) -> None:
        self.pauses -= 1


class Side:
    """One side with its transport."""

    def __init__(self, context: ssl.SSLContext, *, is_server: bool) -> None:
        self.pipe = Pipe()
        self.above = Above()
        self.established = 0
        self.failures: list[ssl.SSLError] = []
        self.tls = TlsTransport(
            self.pipe,
            self.above,
            context,
            is_server=is_server,
            server_name=None if is_server else "localhost",
            on_established=lambda _: setattr(self, "established", self.established + 1),
            on_failed=self.failures.append,
        )


def _pair(authority: trustme.CA, *, trusted: trustme.CA | None = None) -> tuple[Side, Side]:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    context = ssl.create_default_context()
    (trusted or authority).configure_trust(context)
    client, server = Side(context, is_server=False), Side(server_context, is_server=True)
    client.pipe.other, server.pipe.other = server.pipe, client.pipe
    return client, server


def _pump(client: Side, server: Side, count: int | None = None) -> None:
    while client.pipe.deliver(count) or server.pipe.deliver(count):
        pass


@pytest.mark.parametrize("count", [None, 1, 7], ids=["whole", "byte by byte", "by seven"])
async def test_both_directions_in_any_pieces(ca: trustme.CA, count: int | None) -> None:
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server, count)
    assert client.established == server.established == 1
    text = random.Random(3).randbytes(3000 if count else 300_000)
    client.tls.write(text)
    server.tls.write(text[::-1])
    _pump(client, server, count)
    assert server.above.received == text
    assert client.above.received == text[::-1]
    assert client.tls.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert client.tls.get_extra_info("peername") == "below"


async def test_what_was_read_before(ca: trustme.CA) -> None:
    client, server = _pair(ca)
    client.tls.start()
    hello = bytes(client.pipe.pending)
    client.pipe.pending.clear()
    server.tls.start(hello)
    _pump(client, server)
    assert server.established == 1


async def test_a_good_bye(ca: trustme.CA) -> None:
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)
    client.tls.write(b"last words")
    client.tls.close()
    client.tls.write(b"too late")
    client.tls.close()
    _pump(client, server)
    assert server.above.received == b"last words"
    assert client.pipe.is_closed
    assert server.pipe.is_closed
    assert not server.pipe.was_aborted
    server.tls.connection_lost(None)
    assert server.above.lost == [None]


async def test_reading_is_paused_at_once(ca: trustme.CA) -> None:
    """Also what is decrypted already waits, and comes in order afterwards."""
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)

    class Once(Above):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            server.tls.pause_reading()

    once = Once()
    server.tls.set_protocol(once)
    text = bytes(range(256)) * 1000
    client.tls.write(text)
    _pump(client, server)
    assert 0 < len(once.received) < len(text)
    async with asyncio.timeout(20):
        while len(once.received) < len(text):
            before = len(once.received)
            server.tls.resume_reading()
            await asyncio.sleep(0)
            _pump(client, server)
            assert len(once.received) > before
    assert once.received == text


async def test_the_other_protocol_gets_what_comes_behind(ca: trustme.CA) -> None:
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)
    second = Above()

    class First(Above):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            server.tls.set_protocol(second)

    first = First()
    server.tls.set_protocol(first)
    client.tls.write(b"one")
    client.tls.write(b"two")
    _pump(client, server)
    assert bytes(first.received) == b"one"
    assert bytes(second.received) == b"two"


async def test_a_certificate_that_is_not_trusted(ca: trustme.CA, other_ca: trustme.CA) -> None:
    client, server = _pair(ca, trusted=other_ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)
    assert isinstance(client.failures[0], ssl.SSLCertVerificationError)
    assert client.established == 0
    assert client.pipe.is_closed
    # The server hears why, and not before its own handshake was over (TLS 1.3).
    server.tls.connection_lost(None)
    assert server.failures or isinstance(server.above.lost[0], ssl.SSLError)


@pytest.mark.parametrize("position", [0, 3, 40, -1])
async def test_damage_on_the_way_ends_it(ca: trustme.CA, position: int) -> None:
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)
    client.tls.write(b"x" * 100)
    client.pipe.pending[position] ^= 0xFF
    _pump(client, server)
    if position != 3:  # a length that grew: it waits for more
        assert server.pipe.is_closed
    assert b"x" not in server.above.received


async def test_back_pressure_is_passed_on(ca: trustme.CA) -> None:
    client, server = _pair(ca)
    server.tls.start()
    server.tls.pause_writing()
    assert server.above.pauses == 0  # it is not there yet
    client.tls.start()
    _pump(client, server)
    server.tls.pause_writing()
    assert server.above.pauses == 1
    server.tls.resume_writing()
    assert server.above.pauses == 0


async def test_an_end_without_a_good_bye(ca: trustme.CA) -> None:
    client, server = _pair(ca)
    server.tls.start()
    client.tls.start()
    _pump(client, server)
    assert server.tls.eof_received() is False
    server.tls.connection_lost(None)
    assert server.above.lost == [None]
    assert server.tls.is_closing()
    server.tls.write(b"nowhere")
    server.tls.close()
    server.tls.abort()
