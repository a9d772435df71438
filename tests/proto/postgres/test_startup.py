"""Versions, options and encryption requests."""

from __future__ import annotations

import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.codec import serialize_startup
from longshore.proto.postgres.constants import PROTOCOL_3_0, PROTOCOL_3_2, PROTOCOL_GREASE
from longshore.proto.postgres.startup import (
    ClientStarted,
    EncryptionAnswered,
    ServerStartup,
    accept_negotiation,
    agree_version,
    judge_startup,
    unknown_options,
)
from longshore.proto.postgres.startup_framing import DirectTls
from longshore.proto.postgres.violation import ProtocolViolation

SSL = serialize_startup(m.SSLRequest())
GSS = serialize_startup(m.GSSENCRequest())
USER = (b"user", b"u")


def started(*pairs: tuple[bytes, bytes], version: int = PROTOCOL_3_0) -> ClientStarted:
    return judge_startup(m.StartupMessage((USER, *pairs), version))


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        (PROTOCOL_3_0, PROTOCOL_3_0),
        (196609, PROTOCOL_3_0),
        (PROTOCOL_3_2, PROTOCOL_3_2),
        (196611, PROTOCOL_3_2),
        (PROTOCOL_GREASE, PROTOCOL_3_2),
        (0x3FFFF, PROTOCOL_3_2),
    ],
)
def test_versions(asked: int, spoken: int) -> None:
    assert agree_version(asked) == spoken
    negotiate = started(version=asked).negotiate
    assert negotiate == (None if asked == spoken else m.NegotiateProtocolVersion(spoken))


@pytest.mark.parametrize("version", [131072, 262144, 0, -1, 0x7FFFFFFF])
def test_another_major_version_is_refused(version: int) -> None:
    with pytest.raises(ProtocolViolation, match="unsupported frontend protocol") as caught:
        started(version=version)
    assert caught.value.sqlstate == "0A000"


def test_unknown_options_are_named_and_the_startup_goes_on() -> None:
    pairs = ((b"_pq_.test_protocol_negotiation", b""), (b"TimeZone", b"UTC"), (b"_pq_.b", b"1"))
    result = started(*pairs, version=PROTOCOL_GREASE)
    names = (b"_pq_.test_protocol_negotiation", b"_pq_.b")
    assert result.negotiate == m.NegotiateProtocolVersion(PROTOCOL_3_2, names)
    assert result.parameters == ((b"TimeZone", b"UTC"),)
    assert started(pairs[0]).negotiate == m.NegotiateProtocolVersion(PROTOCOL_3_0, names[:1])


def test_what_the_client_wants() -> None:
    result = started((b"database", b"d"), (b"application_name", b"a"), (b"application_name", b"b"))
    assert result == ClientStarted(b"u", b"d", ((b"application_name", b"b"),), None, PROTOCOL_3_0, None)
    assert started().database == b"u"
    assert started((b"database", b"")).database == b"u"


@pytest.mark.parametrize(
    ("value", "result"), [(b"true", b"true"), (b"database", b"database"), (b"off", None), (b"0", None)]
)
def test_replication(value: bytes, result: bytes | None) -> None:
    assert started((b"replication", value)).replication == result


@pytest.mark.parametrize("pairs", [(), ((b"user", b""),), ((b"database", b"d"),)])
def test_nobody_is_refused(pairs: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(ProtocolViolation, match="no PostgreSQL user name") as caught:
        judge_startup(m.StartupMessage(pairs))
    assert caught.value.sqlstate == "28000"


def test_encryption_is_refused_and_the_startup_goes_on() -> None:
    server = ServerStartup()
    message = m.StartupMessage((USER,))
    assert server.receive_data(GSS + SSL) == EncryptionAnswered(b"N", starts_tls=False)
    assert server.receive_data(b"") == EncryptionAnswered(b"N", starts_tls=False)
    assert server.receive_data(serialize_startup(message) + b"p\0") == judge_startup(message)
    assert server.take_rest() == b"p\0"


def test_tls_is_offered_after_gss_was_refused() -> None:
    server = ServerStartup(offers_tls=True)
    assert server.receive_data(GSS) == EncryptionAnswered(b"N", starts_tls=False)
    assert server.receive_data(SSL) == EncryptionAnswered(b"S", starts_tls=True)


def test_bytes_behind_ssl_request_are_refused() -> None:
    with pytest.raises(ProtocolViolation, match="unencrypted data"):
        ServerStartup(offers_tls=True).receive_data(SSL + b"\0")


@pytest.mark.parametrize("request_wire", [SSL, GSS])
def test_encryption_is_asked_once_and_not_inside_itself(request_wire: bytes) -> None:
    server = ServerStartup()
    server.receive_data(request_wire)
    for again in (server, ServerStartup(is_encrypted=True)):
        with pytest.raises(ProtocolViolation, match="unexpected"):
            again.receive_data(request_wire)


def test_cancel_and_direct_tls_come_through() -> None:
    cancel = m.CancelRequest(1, b"abcd")
    assert ServerStartup().receive_data(serialize_startup(cancel)) == cancel
    assert ServerStartup(offers_tls=True).receive_data(b"\x16\x03") == DirectTls(b"\x16\x03")
    assert ServerStartup().receive_data(b"\0\0") is None


ASKED = m.StartupMessage((USER, (b"_pq_.a", b"")), PROTOCOL_3_2)


def test_a_server_may_negotiate_down() -> None:
    assert accept_negotiation(ASKED, m.NegotiateProtocolVersion(PROTOCOL_3_0)) == PROTOCOL_3_0
    assert accept_negotiation(ASKED, m.NegotiateProtocolVersion(PROTOCOL_3_2, (b"_pq_.a",))) == PROTOCOL_3_2
    assert unknown_options(ASKED) == (b"_pq_.a",)


@pytest.mark.parametrize(
    "answer",
    [
        m.NegotiateProtocolVersion(PROTOCOL_3_2 + 1),
        m.NegotiateProtocolVersion(PROTOCOL_3_0 + 1),
        m.NegotiateProtocolVersion(131072),
        m.NegotiateProtocolVersion(0),
        m.NegotiateProtocolVersion(PROTOCOL_3_0, (b"_pq_.b",)),
    ],
)
def test_a_server_may_not_negotiate_up_or_invent(answer: m.NegotiateProtocolVersion) -> None:
    with pytest.raises(ProtocolViolation):
        accept_negotiation(ASKED, answer)
