"""Tests of ``longshore.egress.dns_server`` on loopback, with clients that speak UDP and TCP by hand."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from longshore.egress.dns_server import NameServer
from longshore.egress.token_bucket import TokenBucket
from tests.egress.name_rig import NameService, make_context
from tests.sweep import Attempt, sweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.egress.context import WorkerContext

MANY = [f"192.0.2.{number}" for number in range(64)]
GARBAGE = [b"", b"x", b"\x00" * 11, b"\x12\x34" + b"\xff" * 40, b"\x00" * 12, bytes(range(256)) * 20]


class Client:
    """A worker's socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setblocking(False)
        self.udp.connect(address)

    def send(self, wire: bytes) -> None:
        self.udp.send(wire)

    async def receive(self) -> dns.message.Message:
        return dns.message.from_wire(await asyncio.get_running_loop().sock_recv(self.udp, 65_535))

    async def ask(self, name: str, kind: str = "A", **options: Any) -> dns.message.Message:
        self.send(dns.message.make_query(name, kind, **options).to_wire())
        return await self.receive()

    async def stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)


@asynccontextmanager
async def server(context: WorkerContext, **options: Any) -> AsyncIterator[tuple[NameServer, Client]]:
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    made = NameServer(context, udp, tcp, **options)
    made.start()
    client = Client(udp.getsockname())
    try:
        yield made, client
    finally:
        client.udp.close()
        await made.aclose()
        await context.resolver.aclose()


async def read_reply(reader: asyncio.StreamReader) -> dns.message.Message:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(length))


async def ask_stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, kind: str = "A"
) -> dns.message.Message:
    writer.write(dns.message.make_query(name, kind).to_wire(prepend_length=True))
    return await read_reply(reader)


async def test_a_question_is_answered_and_again_from_memory() -> None:
    service = NameService({"db.example.com": ["192.0.2.1"]})
    async with server(make_context(service=service)) as (_, client):
        first = await client.ask("db.example.com")
        assert first.rcode() == dns.rcode.NOERROR
        again = await client.ask("db.example.com")
        assert [str(rrset[0]) for rrset in first.answer] == [str(rrset[0]) for rrset in again.answer]
        assert (await client.ask("missing.example.com")).rcode() == dns.rcode.NXDOMAIN
        assert service.asked == ["db.example.com", "missing.example.com"]


async def test_a_slow_name_holds_up_no_other() -> None:
    service = NameService({"slow.example": ["192.0.2.1"]})
    service.may_answer.clear()
    async with server(make_context(service=service)) as (_, client):
        client.send(dns.message.make_query("slow.example", "A").to_wire())
        quick = await client.ask("localhost")
        assert str(quick.answer[0][0]) == "127.0.0.1"
        service.may_answer.set()
        assert (await client.receive()).question[0].name.to_text() == "slow.example."


async def test_what_is_too_long_for_a_datagram_comes_by_tcp() -> None:
    async with server(make_context(service=NameService({"many.example": MANY}))) as (_, client):
        short = await client.ask("many.example")
        assert short.flags & dns.flags.TC
        assert not (await client.ask("many.example", use_edns=0, payload=1232)).flags & dns.flags.TC
        reader, writer = await client.stream()
        whole = await ask_stream(reader, writer, "many.example")
        assert len(whole.answer[0]) == 64
        writer.close()
        await writer.wait_closed()


async def test_a_stream_carries_questions_one_after_the_other_and_byte_by_byte() -> None:
    async with server(make_context(service=NameService({"db.example": ["192.0.2.1"]}))) as (_, client):
        reader, writer = await client.stream()
        wires = [
            dns.message.make_query(name, "A", id=number).to_wire(prepend_length=True)
            for number, name in enumerate(["db.example", "missing.example", "localhost"])
        ]
        writer.write(b"".join(wires))
        assert [(await read_reply(reader)).id for _ in wires] == [0, 1, 2]
        for byte in wires[1]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_reply(reader)).rcode() == dns.rcode.NXDOMAIN
        writer.close()
        await writer.wait_closed()


async def test_no_datagram_ends_the_server() -> None:
    async with server(make_context()) as (_, client):
        for wire in GARBAGE:
            client.send(wire)
        answered = [await client.receive() for _ in range(2)]  # the last two have a header
        assert {reply.rcode() for reply in answered} == {dns.rcode.FORMERR}
        assert (await client.ask("localhost")).answer


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x00", b"\x00\x20" + b"x" * 8, b"\x00\x00", b"\xff\xff", b"\x00\x0c" + b"\xff" * 12],
    ids=["nothing", "half a length", "half a question", "no question", "too long", "a reply"],
)
async def test_a_stream_of_garbage_is_closed_and_no_other(sent: bytes) -> None:
    async with server(make_context()) as (_, client):
        other_reader, other = await client.stream()
        reader, writer = await client.stream()
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
        assert (await ask_stream(other_reader, other, "localhost")).answer
        for each in (writer, other):
            each.close()
            await each.wait_closed()


async def test_a_silent_stream_is_closed() -> None:
    async with server(make_context(), stream_idle_s=0.01) as (_, client):
        reader, writer = await client.stream()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_there_are_only_so_many_streams() -> None:
    async with server(make_context()) as (_, client):
        streams = [await client.stream() for _ in range(16)]
        for reader, writer in streams:
            assert (await ask_stream(reader, writer, "localhost")).answer
        reader, writer = await client.stream()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await ask_stream(reader, writer, "localhost")
        assert (await ask_stream(*streams[0], "localhost")).answer
        for _, each in [*streams, (reader, writer)]:
            each.close()
            await asyncio.wait([asyncio.ensure_future(_closed(each))])


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass


async def test_there_are_only_so_many_open_questions_and_more_fail_at_once() -> None:
    service = NameService()
    service.may_answer.clear()
    async with server(make_context(service=service)) as (made, client):
        for number in range(256):
            client.send(dns.message.make_query(f"n{number}.example", "A").to_wire())
            while len(made._tasks) <= number:
                await asyncio.sleep(0)
        reply = await client.ask("one-more.example", use_edns=0)
        assert reply.rcode() == dns.rcode.SERVFAIL
        assert "too many questions are open" in str(reply.options[0])
        assert (await client.ask("localhost")).answer
        service.may_answer.set()


async def test_beyond_its_rate_a_worker_waits_and_nothing_is_lost() -> None:
    async with server(make_context()) as (made, client):
        made._rate = TokenBucket(100.0, 1, monotonic())
        reader, writer = await client.stream()
        for _ in range(4):
            client.send(dns.message.make_query("localhost", "A").to_wire())
        assert (await ask_stream(reader, writer, "localhost")).answer
        for _ in range(4):
            assert (await client.receive()).answer
        assert made._pauses  # it did stop reading
        writer.close()
        await writer.wait_closed()


async def test_a_bug_is_a_failure_to_one_question_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context = make_context()

    def broken(*_: object) -> None:
        raise KeyError("bug")

    async with server(context) as (made, client):
        with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
            patched.setattr(made._desk, "answer_at_once", broken)
            assert (await client.ask("db.example.com")).rcode() == dns.rcode.SERVFAIL
            patched.setattr(made._desk, "answer_at_once", lambda _: None)
            patched.setattr(made._desk, "answer", broken)
            assert (await client.ask("db.example.com")).rcode() == dns.rcode.SERVFAIL
        assert caplog.text.count("a question could not be answered: 'db.example.com.'") == 2
        assert (await client.ask("localhost")).answer


async def test_a_client_that_is_gone_is_no_trouble() -> None:
    service = NameService({"slow.example": ["192.0.2.1"]})
    service.may_answer.clear()
    async with server(make_context(service=service)) as (made, client):
        gone = Client(client.address)
        gone.send(dns.message.make_query("slow.example", "A").to_wire())
        while not made._tasks:
            await asyncio.sleep(0)
        gone.udp.close()
        service.may_answer.set()
        assert (await client.ask("slow.example")).answer


async def test_sockets_of_another_kind_are_refused_and_closed() -> None:
    ours, theirs = socket.socketpair()
    udp, other = socket.socketpair()
    with theirs, other:
        made = NameServer(make_context(), udp, ours)
        with pytest.raises(OSError, match="Invalid argument"):
            made.start()
        await made.aclose()
    assert ours.fileno() == udp.fileno() == -1


async def test_a_socket_that_fails_is_left_alone_for_a_while() -> None:
    async with server(make_context()) as (made, client):

        class Broken(socket.socket):
            def recvfrom(self, *_: Any) -> Any:
                raise OSError(5, "broken")

            accept = recvfrom

        made._on_stream()  # woken for nothing
        assert not made._pauses
        kinds = ((made._udp, made._on_datagrams), (made._tcp, made._on_stream))
        for name, (sock, on_readable) in zip(("_udp", "_tcp"), kinds, strict=True):
            broken = Broken(fileno=sock.detach())
            setattr(made, name, broken)
            on_readable()
            assert not asyncio.get_running_loop().remove_reader(broken.fileno())
            assert broken in made._pauses
        client.send(b"x" * 20)


async def test_closing_is_idempotent_and_may_be_cancelled_anywhere() -> None:
    async def close(attempt: Attempt) -> None:
        service = NameService()
        service.may_answer.clear()
        async with server(make_context(service=service)) as (made, client):
            client.send(dns.message.make_query("slow.example", "A").to_wire())
            while not made._tasks:
                await asyncio.sleep(0)
            await attempt.run(made.aclose())
            assert made._udp.fileno() == made._tcp.fileno() == -1
            await made.aclose()
            service.may_answer.set()

    await sweep(close, "at once")
