"""``longshore.sockets._extra_info``: what the tests of the adapters do not reach on an IPv4 loopback."""

from __future__ import annotations

import pytest

from longshore import connect
from longshore.sockets._extra_info import ExtraInfo, sockaddr
from longshore.testing import MemoryDialer
from tests.server_process import HOST, free_port


@pytest.mark.parametrize(("text", "expected"), [
    ("127.0.0.1:80", ("127.0.0.1", 80)),
    ("[::1]:443", ("::1", 443, 0, 0)),
    ("[fe80::1%3]:443", ("fe80::1", 443, 0, 3)),
    ("[fe80::1%eth0]:443", ("fe80::1", 443, 0, 0)),
    ("db.example:5432", ("db.example", 5432)),
])  # fmt: skip
def test_addresses_are_spelled_as_the_socket_module_does(text: str, expected: tuple[object, ...]) -> None:
    assert sockaddr(text) == expected


async def test_a_stream_without_a_socket_has_no_facts_of_one() -> None:
    dialer = MemoryDialer()
    socket = connect("db.example:5432", dialer=dialer)
    extra = ExtraInfo(socket._channel)
    assert extra.info is None
    readable = [extra.is_readable]
    await socket.opened
    assert extra.get("peername") == ("db.example", 5432)
    for name in ("sockname", "socket", "ssl_object", "peercert"):
        assert extra.get(name, "none") == "none"
    readable.append(extra.is_readable)
    socket.abort()
    assert [*readable, extra.is_readable] == [False, False, True]
    (await dialer.accept()).close()


async def test_a_socket_that_never_connected_has_no_facts() -> None:
    socket = connect((HOST, free_port()))
    extra = ExtraInfo(socket._channel)
    with pytest.raises(OSError, match="refused"):
        await socket.opened
    assert extra.info is None
    assert extra.get("peername", "none") == "none"
    assert extra.is_readable
