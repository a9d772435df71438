"""Start-up packets out of the first bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.codec import serialize_startup
from longshore.proto.postgres.startup_framing import MAX_PARAMETERS, DirectTls, StartupReader
from longshore.proto.postgres.violation import ProtocolViolation
from tests.proto.postgres.cases import STARTUP_CASES
from tests.proto.postgres.strategies import chunks_of

packets = pytest.mark.parametrize(("name", "packet", "wire"), STARTUP_CASES, ids=[case[0] for case in STARTUP_CASES])


@packets
def test_whole_and_byte_by_byte(name: str, packet: m.StartupPacket, wire: bytes) -> None:
    assert StartupReader().receive_data(wire) == packet
    reader = StartupReader()
    assert [reader.receive_data(wire[i : i + 1]) for i in range(len(wire))] == [*[None] * (len(wire) - 1), packet]
    assert reader.buffered_bytes == 0


@packets
def test_what_stands_behind_is_kept(name: str, packet: m.StartupPacket, wire: bytes) -> None:
    reader = StartupReader()
    assert reader.receive_data(wire + wire + b"Q") == packet
    assert reader.buffered_bytes == len(wire) + 1
    assert reader.receive_data(b"") == packet
    assert reader.take_rest() == b"Q"
    assert reader.buffered_bytes == 0


def test_direct_tls_is_seen_at_the_first_byte() -> None:
    assert StartupReader().receive_data(b"\x16") == DirectTls(b"\x16")
    assert StartupReader().receive_data(b"\x16\x03\x01\0\x05hello") == DirectTls(b"\x16\x03\x01\0\x05hello")


def test_tls_does_not_start_directly_behind_a_packet() -> None:
    for reader in (StartupReader(), StartupReader(is_first=False)):
        if reader._is_first:
            assert reader.receive_data(serialize_startup(m.GSSENCRequest())) == m.GSSENCRequest()
        with pytest.raises(ProtocolViolation, match="invalid length"):
            reader.receive_data(b"\x16\x03\x01\x02\0")


@pytest.mark.parametrize("length", [0, 4, 7, 10_005, 2**31, 2**32 - 1])
def test_a_length_that_cannot_be_is_refused_at_once(length: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid length of startup packet") as caught:
        StartupReader().receive_data(length.to_bytes(4, "big"))
    assert caught.value.is_fatal


def test_the_longest_packet_of_postgres() -> None:
    value = b"x" * (10_000 - 4 - len(b"user\0\0\0"))
    wire = serialize_startup(m.StartupMessage(((b"user", value),)))
    assert len(wire) == 10_004
    assert StartupReader().receive_data(wire) == m.StartupMessage(((b"user", value),))


def test_parameters_are_bounded() -> None:
    pairs = ((b"a", b""),) * (MAX_PARAMETERS + 1)
    assert StartupReader().receive_data(serialize_startup(m.StartupMessage(pairs[1:])))
    with pytest.raises(ProtocolViolation, match="more than"):
        StartupReader().receive_data(serialize_startup(m.StartupMessage(pairs)))


def test_another_major_version_is_read_but_not_looked_into() -> None:
    assert StartupReader().receive_data(b"\0\0\0\x0a\0\x02\0\0xy") == m.StartupMessage((), 131072)


@given(wire=st.binary(max_size=200), cuts=st.lists(st.integers(0), max_size=6))
def test_nonsense_is_a_violation_or_needs_more(wire: bytes, cuts: list[int]) -> None:
    reader = StartupReader()
    with contextlib.suppress(ProtocolViolation):
        for chunk in chunks_of(wire, cuts):
            reader.receive_data(chunk)
