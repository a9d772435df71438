"""Numbers of the PostgreSQL v3 protocol in the manual's spelling (PURE).

Sources: PostgreSQL manual, chapter "Frontend/Backend Protocol" (§ Message Formats, § Message Flow), and the limits
that ``postgres`` and ``libpq`` themselves enforce. Rule: nothing but names for numbers here, no logic.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "ALPN_PROTOCOL",
    "ASYNCHRONOUS_TYPES",
    "AuthCode",
    "AuthReply",
    "BACKEND_LIMITS",
    "BackendType",
    "CANCEL_REQUEST_CODE",
    "EXTENDED_QUERY_TYPES",
    "FRONTEND_LIMITS",
    "FrontendType",
    "GSSENC_REQUEST_CODE",
    "LARGE_MESSAGE_BYTES",
    "MAX_CANCEL_KEY_BYTES",
    "MAX_STARTUP_BYTES",
    "MIN_CANCEL_KEY_BYTES",
    "PROTOCOL_3_0",
    "PROTOCOL_3_2",
    "PROTOCOL_GREASE",
    "SASL_SCRAM_SHA_256",
    "SASL_SCRAM_SHA_256_PLUS",
    "SMALL_MESSAGE_BYTES",
    "SSL_REQUEST_CODE",
    "TLS_HANDSHAKE_RECORD",
    "TransactionStatus",
]


class FrontendType(IntEnum):
    """First byte of a message from the client (manual: Message Formats, "F")."""

    Bind = ord("B")
    Close = ord("C")
    CopyData = ord("d")
    CopyDone = ord("c")
    CopyFail = ord("f")
    Describe = ord("D")
    Execute = ord("E")
    Flush = ord("H")
    FunctionCall = ord("F")
    Parse = ord("P")
    PasswordMessage = ord("p")
    """Also SASLInitialResponse, SASLResponse and GSSResponse: only the server's question tells which."""
    Query = ord("Q")
    Sync = ord("S")
    Terminate = ord("X")


class BackendType(IntEnum):
    """First byte of a message from the server (manual: Message Formats, "B")."""

    Authentication = ord("R")
    BackendKeyData = ord("K")
    BindComplete = ord("2")
    CloseComplete = ord("3")
    CommandComplete = ord("C")
    CopyBothResponse = ord("W")
    CopyData = ord("d")
    CopyDone = ord("c")
    CopyInResponse = ord("G")
    CopyOutResponse = ord("H")
    DataRow = ord("D")
    EmptyQueryResponse = ord("I")
    ErrorResponse = ord("E")
    FunctionCallResponse = ord("V")
    NegotiateProtocolVersion = ord("v")
    NoData = ord("n")
    NoticeResponse = ord("N")
    NotificationResponse = ord("A")
    ParameterDescription = ord("t")
    ParameterStatus = ord("S")
    ParseComplete = ord("1")
    PortalSuspended = ord("s")
    ReadyForQuery = ord("Z")
    RowDescription = ord("T")


class AuthCode(IntEnum):
    """The int32 that follows in an Authentication message."""

    Ok = 0
    KerberosV5 = 2
    CleartextPassword = 3
    MD5Password = 5
    GSS = 7
    GSSContinue = 8
    SSPI = 9
    SASL = 10
    SASLContinue = 11
    SASLFinal = 12


class AuthReply(IntEnum):
    """What a ``p`` message means: it depends on what the server asked last."""

    PasswordMessage = 0
    SASLInitialResponse = 1
    SASLResponse = 2
    GSSResponse = 3


class TransactionStatus(IntEnum):
    """The byte in ReadyForQuery."""

    IDLE = ord("I")
    IN_TRANSACTION = ord("T")
    FAILED = ord("E")


PROTOCOL_3_0: Final = 196608
PROTOCOL_3_2: Final = 196610
"""PostgreSQL 18: cancel keys of 4 to 256 bytes. 3.1 is reserved and never spoken."""
PROTOCOL_GREASE: Final = 206607
"""3.9999: what newer clients ask for to see that the server negotiates instead of failing."""

CANCEL_REQUEST_CODE: Final = 80877102
SSL_REQUEST_CODE: Final = 80877103
GSSENC_REQUEST_CODE: Final = 80877104

TLS_HANDSHAKE_RECORD: Final = 0x16
"""RFC 8446 §5.1: the first byte of a client that starts TLS directly (``sslnegotiation=direct``)."""
ALPN_PROTOCOL: Final = "postgresql"
"""Must be agreed with direct TLS; registered with IANA."""

SASL_SCRAM_SHA_256: Final = b"SCRAM-SHA-256"
SASL_SCRAM_SHA_256_PLUS: Final = b"SCRAM-SHA-256-PLUS"

MAX_STARTUP_BYTES: Final = 10_000
"""What follows the length word of a start-up packet (``MAX_STARTUP_PACKET_LENGTH``)."""
MIN_CANCEL_KEY_BYTES: Final = 4
MAX_CANCEL_KEY_BYTES: Final = 256

# Length words count themselves. postgres: PQ_LARGE_MESSAGE_LIMIT (1 GiB - 2), PQ_SMALL_MESSAGE_LIMIT.
LARGE_MESSAGE_BYTES: Final = 0x3FFFFFFE
SMALL_MESSAGE_BYTES: Final = 10_000
_AUTH_TOKEN_BYTES = 65_535  # postgres: PG_MAX_AUTH_TOKEN_LENGTH
_SHORT_REPLY_BYTES = 30_000  # libpq: longer is lost synchronisation, unless the type may be long
_PARAMETERS_BYTES = 4 + 2 + 65_535 * 4  # as many parameters as a statement may have

_LARGE_FRONTEND = (
    FrontendType.Bind,
    FrontendType.CopyData,
    FrontendType.FunctionCall,
    FrontendType.Parse,
    FrontendType.Query,
)
FRONTEND_LIMITS: Final[dict[int, int]] = {
    **dict.fromkeys(map(int, FrontendType), SMALL_MESSAGE_BYTES),
    **dict.fromkeys(map(int, _LARGE_FRONTEND), LARGE_MESSAGE_BYTES),
    int(FrontendType.PasswordMessage): _AUTH_TOKEN_BYTES,
}
"""Largest length word of each type from a client; a type that is not here does not exist."""

_LARGE_BACKEND = (
    BackendType.CopyData,
    BackendType.DataRow,
    BackendType.ErrorResponse,
    BackendType.FunctionCallResponse,
    BackendType.NoticeResponse,
    BackendType.NotificationResponse,
    BackendType.RowDescription,
)
BACKEND_LIMITS: Final[dict[int, int]] = {
    **dict.fromkeys(map(int, BackendType), _SHORT_REPLY_BYTES),
    **dict.fromkeys(map(int, _LARGE_BACKEND), LARGE_MESSAGE_BYTES),
    int(BackendType.ParameterDescription): _PARAMETERS_BYTES,
}
"""Largest length word of each type from a server; a type that is not here does not exist."""

ASYNCHRONOUS_TYPES: Final = frozenset(
    map(int, (BackendType.NoticeResponse, BackendType.NotificationResponse, BackendType.ParameterStatus))
)
"""May come at any time after start-up, on an idle connection too (manual: Asynchronous Operations)."""

EXTENDED_QUERY_TYPES: Final = frozenset(
    map(
        int,
        (
            FrontendType.Parse,
            FrontendType.Bind,
            FrontendType.Describe,
            FrontendType.Execute,
            FrontendType.Close,
            FrontendType.Flush,
        ),
    )
)
"""An error while one of these is worked on makes the server skip to the next Sync."""
