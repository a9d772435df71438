"""Which version and options two sides agree on, and what a client wants (PURE; manual: Start-up).

Server side: ``ServerStartup`` answers encryption requests and judges the StartupMessage. Client side:
``accept_negotiation`` judges a server's NegotiateProtocolVersion. Nobody is refused for a newer minor version or an
unknown ``_pq_.`` option: he is told (clients probe with 3.9999 whether that is so).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from longshore.proto.postgres.backend_messages import NegotiateProtocolVersion
from longshore.proto.postgres.constants import PROTOCOL_3_0, PROTOCOL_3_2
from longshore.proto.postgres.frontend_messages import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage
from longshore.proto.postgres.sqlstate import FEATURE_NOT_SUPPORTED, INVALID_AUTHORIZATION_SPECIFICATION
from longshore.proto.postgres.startup_framing import DirectTls, StartupReader
from longshore.proto.postgres.violation import ProtocolViolation

__all__ = [
    "ClientStarted",
    "EncryptionAnswered",
    "ServerStartup",
    "StartupOutcome",
    "accept_negotiation",
    "agree_version",
    "judge_startup",
    "unknown_options",
]

PROTOCOL_OPTION_PREFIX = b"_pq_."
_MAJOR = 3
_SUPPORTED = (PROTOCOL_3_0, PROTOCOL_3_2)
_MAX_KNOWN = 1000
_MAX_KNOWN_BYTES = 512

_known: dict[bytes, ClientStarted] = {}
"""What StartupMessages ask for: most clients of an application send the same one."""


@dataclass(frozen=True, slots=True)
class EncryptionAnswered:
    """Send ``answer``; when ``starts_tls``, the next bytes of the client are TLS."""

    answer: bytes
    starts_tls: bool


@dataclass(frozen=True, slots=True)
class ClientStarted:
    """A session may begin: send ``negotiate`` when there is one, then authenticate."""

    user: bytes
    database: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    """Settings, the last value of each; without user, database, replication and ``_pq_.`` options."""
    replication: bytes | None
    """The value of ``replication``, when it asks for a walsender."""
    version: int
    """What is spoken: 3.0 or 3.2."""
    negotiate: NegotiateProtocolVersion | None


StartupOutcome: TypeAlias = EncryptionAnswered | ClientStarted | CancelRequest | DirectTls


class ServerStartup:
    """The server's side of a connection until its StartupMessage.

    Args:
        offers_tls: whether SSLRequest is answered with ``S``.
        is_encrypted: True for the part behind a TLS handshake.
    """

    __slots__ = ("_answered", "_is_encrypted", "_offers_tls", "_reader")

    def __init__(self, *, offers_tls: bool = False, is_encrypted: bool = False) -> None:
        self._offers_tls = offers_tls
        self._is_encrypted = is_encrypted
        self._answered: set[type] = set()
        self._reader = StartupReader(is_first=not is_encrypted)

    def receive_data(self, data: bytes) -> StartupOutcome | None:
        """Take bytes in; return what to do, or None when more are needed.

        After ``EncryptionAnswered`` with ``starts_tls``, and after ``DirectTls``, this object is done: make another
        one with ``is_encrypted=True`` for what TLS decrypts. After a refusal it goes on: ``receive_data(b"")``.

        Raises:
            ProtocolViolation: answer with a FATAL of its ``sqlstate`` and close.
        """
        is_whole = not self._reader.buffered_bytes
        if is_whole and (known := _known.get(data)) is not None:
            return known
        packet = self._reader.receive_data(data)
        if packet is None or isinstance(packet, (CancelRequest, DirectTls)):
            return packet
        if not isinstance(packet, StartupMessage):
            return self._answer(packet)
        started = judge_startup(packet)
        if is_whole and not self._reader.buffered_bytes and len(data) <= _MAX_KNOWN_BYTES:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            _known[bytes(data)] = started
        return started

    def take_rest(self) -> bytes:
        """Return what came behind the StartupMessage, for the ``FrameReader``."""
        return self._reader.take_rest()

    def _answer(self, request: SSLRequest | GSSENCRequest) -> EncryptionAnswered:
        """Answer an encryption request; each may be asked once, and none inside encryption."""
        if type(request) in self._answered or self._is_encrypted:
            raise ProtocolViolation(f"unexpected {type(request).__name__}", is_fatal=True)
        self._answered.add(type(request))
        if not (isinstance(request, SSLRequest) and self._offers_tls):
            return EncryptionAnswered(b"N", starts_tls=False)
        if self._reader.buffered_bytes:
            # CVE-2021-23214: what a third party put in before TLS must not count as sent through it.
            raise ProtocolViolation("received unencrypted data after SSL request", is_fatal=True)
        return EncryptionAnswered(b"S", starts_tls=True)


def judge_startup(message: StartupMessage) -> ClientStarted:
    """Return what the client wants, and what to tell it about versions and options.

    Raises:
        ProtocolViolation: another major version (0A000), or no user (28000).
    """
    version = agree_version(message.version)
    values = dict(message.parameters)
    user = values.pop(b"user", b"")
    if not user:
        reason = "no PostgreSQL user name specified in startup packet"
        raise ProtocolViolation(reason, is_fatal=True, sqlstate=INVALID_AUTHORIZATION_SPECIFICATION)
    options = unknown_options(message)
    is_other = bool(options) or version != message.version
    return ClientStarted(
        user=user,
        database=values.pop(b"database", b"") or user,
        replication=_replication(values.pop(b"replication", None)),
        parameters=tuple((name, value) for name, value in values.items() if not _is_protocol_option(name)),
        version=version,
        negotiate=NegotiateProtocolVersion(version, options) if is_other else None,
    )


def agree_version(asked: int) -> int:
    """Return the newest version that both sides speak; 3.1 is reserved, so who asks for it gets 3.0.

    Raises:
        ProtocolViolation: another major version.
    """
    if asked >> 16 != _MAJOR:
        shown = f"{asked >> 16 & 0xFFFF}.{asked & 0xFFFF}"
        reason = f"unsupported frontend protocol {shown}: server supports 3.0 to 3.2"
        raise ProtocolViolation(reason, is_fatal=True, sqlstate=FEATURE_NOT_SUPPORTED)
    return max(version for version in _SUPPORTED if version <= asked)


def unknown_options(message: StartupMessage) -> tuple[bytes, ...]:
    """Return the names of the protocol options; none is known so far, so all of them are to be refused."""
    return tuple(dict.fromkeys(name for name, _ in message.parameters if _is_protocol_option(name)))


def accept_negotiation(asked: StartupMessage, answer: NegotiateProtocolVersion) -> int:
    """Return the version to go on with, as client.

    Raises:
        ProtocolViolation: the server names a version that is newer, unknown or not 3.x, or options nobody asked for.
    """
    if answer.version > asked.version:
        _refuse(answer, "the server asks for a newer version than was offered")
    if answer.version not in _SUPPORTED:
        _refuse(answer, f"the server asks for version {answer.version}, which does not exist")
    if strange := set(answer.options) - set(unknown_options(asked)):
        _refuse(answer, f"the server refuses options that were not asked for: {sorted(strange)[:3]!r}")
    return answer.version


def _refuse(answer: NegotiateProtocolVersion, reason: str) -> None:
    raise ProtocolViolation(reason, message_type=answer.type, is_fatal=True)


def _is_protocol_option(name: bytes) -> bool:
    return name.startswith(PROTOCOL_OPTION_PREFIX)


def _replication(value: bytes | None) -> bytes | None:
    """Return None where ``replication`` is off: it is a boolean or ``database`` (manual: StartupMessage)."""
    if value is None or value.lower() in (b"false", b"off", b"no", b"0", b"f", b"n", b""):
        return None
    return value
