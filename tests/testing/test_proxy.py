"""The fault proxy between two plain sockets: real FIN, real RST, exact offsets, in both directions."""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from longshore.errors import ArgumentTypeError, ArgumentValueError
from longshore.testing.faults import ByteWise, Chunked, Cut, Delay, Fault, HalfClose, Reset, Stall, Truncate
from longshore.testing.proxy import FaultProxy
from tests.testing.raw import RawPeer, RawServer, data_segments_received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

DATA = bytes(range(256)) * 4
END = len(DATA)
OFFSETS = [0, 1, 500, END]
DIRECTIONS = ["to_server", "to_client"]
LARGE = bytes(range(256)) * (8 << 12)  # 8 MiB: more than the kernel holds for a reader that sleeps
NEVER_S = 3600.0


class Ends(NamedTuple):
    """Both ends of a proxied connection, by role in the direction that has the fault."""

    proxy: FaultProxy
    sender: RawPeer
    receiver: RawPeer


@asynccontextmanager
async def proxied(direction: str, *script: Fault, small_buffers: bool = False) -> AsyncIterator[Ends]:
    """Connect two peers through a proxy with the script in one direction."""
    with RawServer(receive_buffer_bytes=4096 if small_buffers else None) as server:
        async with FaultProxy(server.address, **{direction: script}) as proxy:
            client = await RawPeer.connect(proxy.address)
            async with client, await server.accept() as accepted:
                pair = (client, accepted) if direction == "to_server" else (accepted, client)
                yield Ends(proxy, *pair)


async def outcome_after(peer: RawPeer, sent: bytes) -> tuple[bytes, str]:
    """Send as far as possible, then return what the peer sees."""
    try:
        await peer.send(sent)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return await peer.receive_until_end()


async def test_without_a_script_it_is_transparent() -> None:
    async with proxied("to_server") as (proxy, client, server):
        await client.send(b"ping")
        assert await server.receive_exactly(4) == b"ping"
        await server.send(b"pong!")
        assert await client.receive_exactly(5) == b"pong!"
        await client.send_eof()
        assert await server.receive() == b""
        await server.send(DATA)
        await server.send_eof()
        assert await client.receive_until_end() == (DATA, "eof")
        await proxy.wait_idle()
        assert (proxy.bytes_to_server, proxy.bytes_to_client) == (4, 5 + END)
        assert (proxy.accepted_count, proxy.open_count) == (1, 0)


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_large_data_pass_unchanged(direction: str) -> None:
    async with proxied(direction) as (_, sender, receiver):

        async def send() -> None:
            await sender.send(LARGE)
            await sender.send_eof()

        received, _ = await asyncio.gather(receiver.receive_until_end(), send())
        assert received == (LARGE, "eof")


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_cut_closes_both_behind_the_offset(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Cut(at_bytes)) as (proxy, sender, receiver):
        seen_by_sender, seen_by_receiver = await asyncio.gather(
            outcome_after(sender, DATA), receiver.receive_until_end()
        )
        assert seen_by_receiver == (DATA[:at_bytes], "eof")
        assert seen_by_sender == (b"", "eof")
        await proxy.wait_idle()


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_reset_resets_both_behind_the_offset(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Reset(at_bytes)) as (proxy, sender, receiver):
        seen_by_sender, seen_by_receiver = await asyncio.gather(
            outcome_after(sender, DATA), receiver.receive_until_end()
        )
        assert seen_by_receiver == (DATA[:at_bytes], "reset")
        assert seen_by_sender[0] == b""
        await proxy.wait_idle()


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_reset_reaches_a_sender_that_only_waits(direction: str) -> None:
    async with proxied(direction, Reset(END)) as (_, sender, receiver):
        await sender.send(DATA)
        assert await sender.receive_until_end() == (b"", "reset")
        assert await receiver.receive_until_end() == (DATA, "reset")


@pytest.mark.parametrize("make", [Cut, Reset])
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_everything_before_the_end_arrives_at_a_receiver_that_reads_late(
    direction: str, make: Callable[[int], Fault]
) -> None:
    at_bytes = len(LARGE) - 1000
    async with proxied(direction, make(at_bytes), small_buffers=True) as (_, sender, receiver):
        sending = asyncio.ensure_future(outcome_after(sender, LARGE))
        for _ in range(200):
            await asyncio.sleep(0)
        received, _ = await receiver.receive_until_end()
        assert received == LARGE[:at_bytes]
        await sending


@pytest.mark.parametrize("make", [Truncate, HalfClose])
@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_only_one_direction_ends_behind_the_offset(
    direction: str, at_bytes: int, make: Callable[[int], Fault]
) -> None:
    async with proxied(direction, make(at_bytes)) as (proxy, sender, receiver):
        await sender.send(DATA)
        assert await receiver.receive_until_end() == (DATA[:at_bytes], "eof")
        await receiver.send(b"the other direction")
        await receiver.send_eof()
        assert await sender.receive_until_end() == (b"the other direction", "eof")
        await sender.send(DATA)
        await sender.send_eof()
        await proxy.wait_idle()


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_truncated_sender_is_read_to_its_end(direction: str) -> None:
    async with proxied(direction, Truncate(10)) as (proxy, sender, receiver):
        await sender.send(LARGE)
        await sender.send_eof()
        assert await receiver.receive_until_end() == (LARGE[:10], "eof")
        await receiver.send_eof()
        await proxy.wait_idle()


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_half_closed_sender_meets_back_pressure_until_the_other_direction_ends(
    direction: str,
) -> None:
    async with proxied(direction, HalfClose(10)) as (proxy, sender, receiver):
        sending = asyncio.ensure_future(sender.send(LARGE))
        assert await receiver.receive_until_end() == (LARGE[:10], "eof")
        for _ in range(200):
            await asyncio.sleep(0)
        assert not sending.done()
        await receiver.send_eof()
        await sending
        await sender.send_eof()
        await proxy.wait_idle()


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_stall_holds_back_until_resumed(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Stall(at_bytes)) as (proxy, sender, receiver):
        await sender.send(DATA)
        await sender.send_eof()
        assert await receiver.receive_exactly(at_bytes) == DATA[:at_bytes]
        await proxy.wait_stalled()
        assert proxy.stalled_count == 1
        await receiver.send(b"the other direction")
        assert await sender.receive_exactly(19) == b"the other direction"
        with pytest.raises(BlockingIOError):
            receiver.sock.recv(1)
        proxy.resume()
        assert await receiver.receive_until_end() == (DATA[at_bytes:], "eof")
        assert proxy.stalled_count == 0


async def test_resume_releases_only_what_is_stalled_now() -> None:
    async with proxied("to_server", Stall(1), Stall(2)) as (proxy, client, server):
        proxy.resume()
        await client.send(b"abc")
        for received in (b"a", b"b"):
            assert await server.receive_exactly(1) == received
            await proxy.wait_stalled()
            with pytest.raises(BlockingIOError):
                server.sock.recv(1)
            proxy.resume()
        assert await server.receive_exactly(1) == b"c"


async def test_waiting_for_stalls_counts_directions_and_can_be_cancelled() -> None:
    with RawServer() as server:
        proxy = FaultProxy(server.address, to_server=[Stall(1)], to_client=[Stall(1)])
        async with proxy, await RawPeer.connect(proxy.address) as client, await server.accept() as accepted:
            both = asyncio.create_task(proxy.wait_stalled(2))
            given_up = asyncio.create_task(proxy.wait_stalled(2))
            await client.send(b"ab")
            await proxy.wait_stalled()
            await asyncio.sleep(0)
            assert not both.done()
            given_up.cancel()
            await accepted.send(b"cd")
            await both
            assert proxy.stalled_count == 2
            proxy.resume()
            assert await accepted.receive_exactly(2) == b"ab"
            assert await client.receive_exactly(2) == b"cd"


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_delay_goes_on_by_itself(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Delay(at_bytes, 0.001)) as (_, sender, receiver):
        await sender.send(DATA)
        await sender.send_eof()
        assert await receiver.receive_until_end() == (DATA, "eof")


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_delay_holds_back_what_is_behind_its_offset(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Delay(at_bytes, NEVER_S)) as (proxy, sender, receiver):
        await sender.send(DATA)
        await sender.send_eof()
        assert await receiver.receive_exactly(at_bytes) == DATA[:at_bytes]
        await proxy.close()
        assert await receiver.receive_until_end() == (b"", "reset")


@pytest.mark.parametrize(
    "make",
    [Cut, Reset, Stall, Truncate, HalfClose, lambda at: Delay(at, NEVER_S)],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_fault_beyond_the_end_never_happens(direction: str, make: Callable[[int], Fault]) -> None:
    async with proxied(direction, make(END + 1)) as (proxy, sender, receiver):
        await sender.send(DATA)
        await sender.send_eof()
        assert await receiver.receive_until_end() == (DATA, "eof")
        await receiver.send_eof()
        assert await sender.receive_until_end() == (b"", "eof")
        await proxy.wait_idle()


@pytest.mark.skipif(sys.platform != "linux", reason="counts segments with Linux's TCP_INFO")
@pytest.mark.parametrize(
    ("rule", "segment_count"), [(ByteWise(), END), (Chunked([1, 7]), END // 4), (Chunked([END]), 1)]
)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_segment_rules_hold_on_the_wire(direction: str, rule: Fault, segment_count: int) -> None:
    async with proxied(direction, rule) as (_, sender, receiver):
        await sender.send(DATA)
        await sender.send_eof()
        assert await receiver.receive_until_end() == (DATA, "eof")
        assert data_segments_received(receiver.sock) == segment_count


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_byte_wise_is_seen_by_a_receiver_in_the_same_loop(direction: str) -> None:
    async with proxied(direction, ByteWise()) as (_, sender, receiver):
        await sender.send(DATA[:50])
        pieces = [await receiver.receive() for _ in range(50)]
        assert pieces == [DATA[index : index + 1] for index in range(50)]


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_faults_of_one_script_happen_in_order(direction: str) -> None:
    script = (Chunked([3]), Stall(100), Delay(200, 0.001), Reset(300))
    async with proxied(direction, *script) as (proxy, sender, receiver):
        await sender.send(DATA)
        assert await receiver.receive_exactly(100) == DATA[:100]
        await proxy.wait_stalled()
        proxy.resume()
        assert await receiver.receive_until_end() == (DATA[100:300], "reset")


async def test_both_directions_have_scripts_of_their_own() -> None:
    with RawServer() as server:
        proxy = FaultProxy(server.address, to_server=[Truncate(3)], to_client=[Reset(5)])
        async with proxy, await RawPeer.connect(proxy.address) as client, await server.accept() as accepted:
            await client.send(DATA)
            assert await accepted.receive_until_end() == (DATA[:3], "eof")
            await accepted.send(DATA)
            assert await client.receive_until_end() == (DATA[:5], "reset")
            assert (proxy.bytes_to_server, proxy.bytes_to_client) == (3, 5)


async def test_a_script_may_depend_on_the_connection() -> None:
    def only_the_second(number: int) -> Sequence[Fault]:
        return [Reset(2)] if number == 1 else []

    with RawServer() as server:
        async with FaultProxy(server.address, to_client=only_the_second) as proxy:
            seen = []
            for _ in range(3):
                async with await RawPeer.connect(proxy.address) as client, await server.accept() as accepted:
                    await accepted.send(b"hello")
                    await accepted.send_eof()
                    seen.append(await client.receive_until_end())
            assert seen == [(b"hello", "eof"), (b"he", "reset"), (b"hello", "eof")]
            assert proxy.accepted_count == 3


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_peers_own_reset_is_passed_on_behind_its_bytes(direction: str) -> None:
    async with proxied(direction) as (proxy, sender, receiver):
        await sender.send(DATA)
        assert await receiver.receive_exactly(END) == DATA
        sender.abort()
        assert await receiver.receive_until_end() == (b"", "reset")
        await proxy.wait_idle()


async def test_a_client_is_reset_when_the_upstream_refuses() -> None:
    with RawServer() as server:
        address = server.address
    async with FaultProxy(address) as proxy, await RawPeer.connect(proxy.address) as client:
        assert await client.receive_until_end() == (b"", "reset")
        await proxy.wait_idle()


async def test_the_upstream_may_be_a_name() -> None:
    with RawServer() as server:
        port = int(server.address.rpartition(":")[2])
        proxy = FaultProxy({"hostname": "localhost", "port": port})
        async with proxy, await RawPeer.connect(proxy.address) as client, await server.accept() as accepted:
            await client.send(b"x")
            assert await accepted.receive() == b"x"


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_leaving_the_block_ends_idle_connections_with_fin(direction: str) -> None:
    async with proxied(direction) as (proxy, sender, receiver):
        await sender.send(DATA)
        assert await receiver.receive_exactly(END) == DATA
        await proxy.close()
        assert await receiver.receive_until_end() == (b"", "eof")
        assert await sender.receive_until_end() == (b"", "eof")


@pytest.mark.parametrize("at_bytes", OFFSETS)
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_leaving_the_block_resets_what_is_held_back(direction: str, at_bytes: int) -> None:
    async with proxied(direction, Stall(at_bytes)) as (proxy, sender, receiver):
        await sender.send(DATA)
        await proxy.wait_stalled()
        await proxy.close()
        assert await receiver.receive_until_end() == (DATA[:at_bytes], "reset")
        assert await sender.receive_until_end() == (b"", "reset")


async def test_leaving_the_block_ends_connections_that_nobody_accepted_yet() -> None:
    with RawServer() as server:
        async with FaultProxy(server.address) as proxy:
            clients = [await RawPeer.connect(proxy.address) for _ in range(5)]
        for client in clients:
            await client.receive_until_end()
            client.close()


async def test_close_is_idempotent_and_may_come_before_start() -> None:
    proxy = FaultProxy("127.0.0.1:9")
    await proxy.close()
    await proxy.start()
    await proxy.close()
    await proxy.close()
    with pytest.raises(ConnectionRefusedError):
        await RawPeer.connect(proxy.address)


async def test_an_error_of_the_script_is_raised_by_close() -> None:
    def broken(number: int) -> Sequence[Fault]:
        raise LookupError(f"no script for connection {number}")

    with RawServer() as server:
        proxy = FaultProxy(server.address, to_server=broken)
        await proxy.start()
        async with await RawPeer.connect(proxy.address) as client:
            assert await client.receive_until_end() == (b"", "reset")
        with pytest.raises(LookupError, match="no script for connection 0"):
            await proxy.close()


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ArgumentValueError, match="has no port"):
        FaultProxy("127.0.0.1")
    with pytest.raises(ArgumentTypeError, match="is no fault"):
        FaultProxy("127.0.0.1:1", to_server=["cut"])  # type: ignore[list-item]  # the mistake under test


async def test_it_works_under_tls() -> None:
    ca = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    ca.configure_trust(client_context)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(END))
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    async with server, FaultProxy(server.sockets[0].getsockname(), to_client=[Chunked([100])]) as proxy:
        host, port = proxy.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=client_context, server_hostname="localhost")
        writer.write(DATA)
        assert await reader.readexactly(END) == DATA
        writer.close()
        await writer.wait_closed()
        await proxy.wait_idle()
        assert proxy.bytes_to_client > END
