"""Structures of the kernel, byte for byte."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.sandbox.structs import (
    AF_INET,
    AF_INET6,
    IFCONF_BYTES,
    NOTIF_BYTES,
    Notification,
    Peer,
    make_sockaddr,
    make_unix_sockaddr,
    pack_addfd,
    pack_ifconf,
    pack_response,
    parse_family,
    parse_peer,
    to_int,
    unix_path,
    unpack_ifconf,
    unpack_notification,
)

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress

ips = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def test_sizes_are_the_kernels() -> None:
    assert NOTIF_BYTES == 80
    assert IFCONF_BYTES == 16
    assert len(pack_response(1)) == 24
    assert len(pack_addfd(1, 2, at=None, is_answer=True, fd_flags=0)) == 24


def test_a_notification_is_unpacked() -> None:
    raw = bytes.fromhex(
        "0100000000000080"
        "d2040000"
        "00000000"
        "2a000000"
        "3e0000c0"
        "efbeadde00000000"
        "0300000000000000"
        "0010000000000000"
        "10000000ffffffff" + "00" * 16 + "ffffffffffffffff"
    )
    assert unpack_notification(raw) == Notification(
        0x8000_0000_0000_0001, 1234, 42, (3, 0x1000, 0xFFFFFFFF_00000010, 0, 0, 0xFFFFFFFF_FFFFFFFF), 0xC000003E
    )


def test_answers_are_packed() -> None:
    assert pack_response(5, error=-13) == bytes.fromhex("05000000000000000000000000000000f3ffffff00000000")
    assert pack_response(5, value=7, flags=1) == bytes.fromhex("050000000000000007000000000000000000000001000000")
    replacing = pack_addfd(5, 9, at=3, is_answer=False, fd_flags=0o2000000)
    assert replacing == bytes.fromhex("050000000000000001000000090000000300000000000800")
    assert pack_addfd(5, 9, at=None, is_answer=True, fd_flags=0)[8:12] == b"\x02\0\0\0"
    assert pack_addfd(5, 9, at=0, is_answer=False, fd_flags=0)[8:12] == b"\x01\0\0\0", "descriptor 0 is one too"


@pytest.mark.parametrize(
    ("argument", "value"),
    [(0, 0), (3, 3), (0xFFFFFFFF, -1), (0xFFFFFFFF_FFFFFFFF, -1), (1 << 32, 0), (0x7FFFFFFF, 0x7FFFFFFF)],
)
def test_arguments_are_read_as_the_kernel_reads_an_int(argument: int, value: int) -> None:
    assert to_int(argument) == value


@given(ip=ips, port=st.integers(0, 65535))
def test_an_address_survives_the_round_trip(ip: IpAddress, port: int) -> None:
    family = AF_INET if ip.version == 4 else AF_INET6
    raw = make_sockaddr(family, ip, port)
    assert raw is not None
    peer = parse_peer(raw)
    assert peer is not None
    plain = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    assert (peer.family, peer.ip, peer.port) == (family, plain, port)
    for cut in range(len(raw)):
        shorter = parse_peer(raw[:cut])
        assert shorter is None or shorter == peer, "without the zone at most"


def test_the_library_of_the_system_agrees() -> None:
    with socket.socket() as sock, socket.socket(socket.AF_INET6) as sock6:
        sock.bind(("127.0.0.1", 0))
        sock6.bind(("::1", 0))
        port, port6 = sock.getsockname()[1], sock6.getsockname()[1]
    assert make_sockaddr(AF_INET, IPv4Address("127.0.0.1"), port) == b"\x02\0" + port.to_bytes(
        2, "big"
    ) + b"\x7f\0\0\x01" + bytes(8)
    made = make_sockaddr(AF_INET6, ip_address("::1"), port6, 3)
    assert made == b"\x0a\0" + port6.to_bytes(2, "big") + bytes(4) + bytes(15) + b"\x01" + b"\x03\0\0\0"


def test_families_are_told_apart() -> None:
    assert make_sockaddr(AF_INET, ip_address("::1"), 1) is None
    mapped = make_sockaddr(AF_INET6, IPv4Address("10.0.0.1"), 5)
    assert mapped is not None
    assert parse_peer(mapped) == Peer(AF_INET6, IPv4Address("10.0.0.1"), 5)
    assert parse_peer(mapped[:24]) == Peer(AF_INET6, IPv4Address("10.0.0.1"), 5)
    assert parse_peer(b"\x01\0/tmp/x" + bytes(20)) is None
    assert parse_family(b"") is None
    assert parse_family(b"\x02") is None
    assert parse_family(b"\x02\x01") == 0x102


@given(st.binary(max_size=140))
def test_any_bytes_are_an_address_or_none(raw: bytes) -> None:
    peer = parse_peer(raw)
    if peer is not None:
        assert parse_family(raw) == peer.family
        assert 0 <= peer.port <= 65535
    unix_path(raw)


def test_unix_addresses() -> None:
    assert unix_path(b"\x01\0/tmp/x") == b"/tmp/x"
    assert unix_path(b"\x01\0/tmp/x\0rest") == b"/tmp/x"
    assert unix_path(b"\x01\0\0abstract") == b""
    assert unix_path(b"\x01\0") == b""
    assert make_unix_sockaddr("/proc/self/fd/3") == b"\x01\0/proc/self/fd/3\0"


def test_ifconf() -> None:
    assert unpack_ifconf(pack_ifconf(40, 0x7FFF12345678)) == (40, 0x7FFF12345678)
