"""What a client sends, as values (PURE; manual: Message Formats, those marked "F").

Texts are ``bytes``: their encoding is the session's ``client_encoding``, which a pool neither knows nor changes.
CopyData and CopyDone travel both ways. Secrets do not show in ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from longshore.proto.postgres.constants import PROTOCOL_3_0, FrontendType

__all__ = [
    "Bind",
    "CancelRequest",
    "Close",
    "CopyData",
    "CopyDone",
    "CopyFail",
    "Describe",
    "Execute",
    "Flush",
    "FrontendMessage",
    "FunctionCall",
    "GSSENCRequest",
    "GSSResponse",
    "Parse",
    "PasswordMessage",
    "Query",
    "SASLInitialResponse",
    "SASLResponse",
    "SSLRequest",
    "StartupMessage",
    "StartupPacket",
    "Sync",
    "Terminate",
]


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """The first message of a session; it has no type byte."""

    parameters: tuple[tuple[bytes, bytes], ...]
    """In the order of the wire; a name may come twice, and then the last one counts."""
    version: int = PROTOCOL_3_0


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """Asks whether TLS is spoken; answered with one byte."""


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """Asks whether GSSAPI encryption is spoken; answered with one byte."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Asks, on a connection of its own, to cancel what a session is doing; never answered."""

    process_id: int
    secret_key: bytes = field(repr=False)
    """4 bytes in protocol 3.0, 4 to 256 in 3.2."""


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    """The password, or its md5 hash."""

    type: ClassVar[int] = FrontendType.PasswordMessage
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    """The mechanism that the client chose, and its first message."""

    type: ClassVar[int] = FrontendType.PasswordMessage
    mechanism: bytes
    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SASLResponse:
    """A later message of the mechanism."""

    type: ClassVar[int] = FrontendType.PasswordMessage
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GSSResponse:
    """A token of GSSAPI or SSPI."""

    type: ClassVar[int] = FrontendType.PasswordMessage
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """One or more statements of the simple query protocol."""

    type: ClassVar[int] = FrontendType.Query
    query: bytes


@dataclass(frozen=True, slots=True)
class Parse:
    """Make a prepared statement; the empty name is the unnamed one."""

    type: ClassVar[int] = FrontendType.Parse
    name: bytes
    query: bytes
    parameter_types: tuple[int, ...] = ()
    """OIDs; 0 leaves a type to the server."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Make a portal of a prepared statement and values."""

    type: ClassVar[int] = FrontendType.Bind
    portal: bytes
    statement: bytes
    parameter_formats: tuple[int, ...] = ()
    """None, one for all, or one each: 0 text, 1 binary."""
    parameters: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Describe:
    """Ask what a statement (``S``) or portal (``P``) takes and gives."""

    type: ClassVar[int] = FrontendType.Describe
    kind: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Execute:
    """Run a portal, for at most so many rows (0: all)."""

    type: ClassVar[int] = FrontendType.Execute
    portal: bytes
    max_rows: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Forget a statement (``S``) or portal (``P``)."""

    type: ClassVar[int] = FrontendType.Close
    kind: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """Send what is pending, without ending the transaction."""

    type: ClassVar[int] = FrontendType.Flush


@dataclass(frozen=True, slots=True)
class Sync:
    """End the implicit transaction; answered with ReadyForQuery."""

    type: ClassVar[int] = FrontendType.Sync


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Call a function by its OID (manual: Function Call, a legacy sub-protocol)."""

    type: ClassVar[int] = FrontendType.FunctionCall
    function: int
    argument_formats: tuple[int, ...] = ()
    arguments: tuple[bytes | None, ...] = ()
    result_format: int = 0


@dataclass(frozen=True, slots=True)
class CopyData:
    """A piece of a COPY stream."""

    type: ClassVar[int] = FrontendType.CopyData
    data: bytes


@dataclass(frozen=True, slots=True)
class CopyDone:
    """The end of a COPY stream."""

    type: ClassVar[int] = FrontendType.CopyDone


@dataclass(frozen=True, slots=True)
class CopyFail:
    """The client gives up a COPY; the statement fails."""

    type: ClassVar[int] = FrontendType.CopyFail
    message: bytes


@dataclass(frozen=True, slots=True)
class Terminate:
    """The end of the session. A pool never passes it on."""

    type: ClassVar[int] = FrontendType.Terminate


StartupPacket: TypeAlias = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest
"""The messages without a type byte."""

FrontendMessage: TypeAlias = (
    Bind
    | Close
    | CopyData
    | CopyDone
    | CopyFail
    | Describe
    | Execute
    | Flush
    | FunctionCall
    | GSSResponse
    | Parse
    | PasswordMessage
    | Query
    | SASLInitialResponse
    | SASLResponse
    | Sync
    | Terminate
)
