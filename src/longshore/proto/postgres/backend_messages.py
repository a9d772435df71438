"""What a server sends, as values (PURE; manual: Message Formats, those marked "B").

Texts are ``bytes`` in the session's ``client_encoding``. CopyData and CopyDone are in ``frontend_messages``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from longshore.proto.postgres.constants import AuthCode, BackendType
from longshore.proto.postgres.frontend_messages import CopyData, CopyDone

__all__ = [
    "AuthenticationCleartextPassword",
    "AuthenticationGSS",
    "AuthenticationGSSContinue",
    "AuthenticationKerberosV5",
    "AuthenticationMD5Password",
    "AuthenticationMessage",
    "AuthenticationOk",
    "AuthenticationSASL",
    "AuthenticationSASLContinue",
    "AuthenticationSASLFinal",
    "AuthenticationSSPI",
    "BackendKeyData",
    "BackendMessage",
    "BindComplete",
    "CloseComplete",
    "CommandComplete",
    "CopyBothResponse",
    "CopyInResponse",
    "CopyOutResponse",
    "DataRow",
    "EmptyQueryResponse",
    "ErrorResponse",
    "FieldDescription",
    "FunctionCallResponse",
    "NegotiateProtocolVersion",
    "NoData",
    "NoticeResponse",
    "NotificationResponse",
    "ParameterDescription",
    "ParameterStatus",
    "ParseComplete",
    "PortalSuspended",
    "ReadyForQuery",
    "RowDescription",
]


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    """The client is who it says."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.Ok


@dataclass(frozen=True, slots=True)
class AuthenticationKerberosV5:
    """Kerberos V5: no server asks for it any more."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.KerberosV5


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword:
    """Asks for the password itself."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.CleartextPassword


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password:
    """Asks for the md5 of password, user and salt."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.MD5Password
    salt: bytes
    """4 bytes."""


@dataclass(frozen=True, slots=True)
class AuthenticationGSS:
    """Asks for GSSAPI."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.GSS


@dataclass(frozen=True, slots=True)
class AuthenticationGSSContinue:
    """A token of GSSAPI or SSPI."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.GSSContinue
    data: bytes


@dataclass(frozen=True, slots=True)
class AuthenticationSSPI:
    """Asks for SSPI."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.SSPI


@dataclass(frozen=True, slots=True)
class AuthenticationSASL:
    """Asks for SASL, and names the mechanisms, the preferred one first."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.SASL
    mechanisms: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue:
    """A challenge of the mechanism."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.SASLContinue
    data: bytes


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal:
    """The last message of the mechanism."""

    type: ClassVar[int] = BackendType.Authentication
    code: ClassVar[int] = AuthCode.SASLFinal
    data: bytes


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """The server speaks an older version, or does not know some options; the start-up goes on."""

    type: ClassVar[int] = BackendType.NegotiateProtocolVersion
    version: int
    """The whole code, like 196608, although the manual says "minor version"."""
    options: tuple[bytes, ...] = ()
    """The ``_pq_.`` names that it did not know."""


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """What a CancelRequest has to show."""

    type: ClassVar[int] = BackendType.BackendKeyData
    process_id: int
    secret_key: bytes = field(repr=False)
    """4 bytes in protocol 3.0, 4 to 256 in 3.2."""


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    """A setting that the server reports, and its value now."""

    type: ClassVar[int] = BackendType.ParameterStatus
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """The server waits for the next cycle; the status is one of ``TransactionStatus``."""

    type: ClassVar[int] = BackendType.ReadyForQuery
    status: int


@dataclass(frozen=True, slots=True)
class ParseComplete:
    """A statement is prepared."""

    type: ClassVar[int] = BackendType.ParseComplete


@dataclass(frozen=True, slots=True)
class BindComplete:
    """A portal is made."""

    type: ClassVar[int] = BackendType.BindComplete


@dataclass(frozen=True, slots=True)
class CloseComplete:
    """A statement or portal is forgotten."""

    type: ClassVar[int] = BackendType.CloseComplete


@dataclass(frozen=True, slots=True)
class NoData:
    """The described statement gives no rows."""

    type: ClassVar[int] = BackendType.NoData


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """The OIDs of a statement's parameters."""

    type: ClassVar[int] = BackendType.ParameterDescription
    parameter_types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One column of a RowDescription."""

    name: bytes
    type_oid: int
    table_oid: int = 0
    column: int = 0
    type_size: int = -1
    type_modifier: int = -1
    format: int = 0


@dataclass(frozen=True, slots=True)
class RowDescription:
    """The columns of the rows that follow."""

    type: ClassVar[int] = BackendType.RowDescription
    fields: tuple[FieldDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class DataRow:
    """One row; None is NULL."""

    type: ClassVar[int] = BackendType.DataRow
    values: tuple[bytes | None, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandComplete:
    """A statement is done; the tag says what it was, like ``INSERT 0 1``."""

    type: ClassVar[int] = BackendType.CommandComplete
    tag: bytes


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse:
    """The query text held no statement."""

    type: ClassVar[int] = BackendType.EmptyQueryResponse


@dataclass(frozen=True, slots=True)
class PortalSuspended:
    """Execute gave as many rows as it was allowed to."""

    type: ClassVar[int] = BackendType.PortalSuspended


@dataclass(frozen=True, slots=True)
class CopyInResponse:
    """The server waits for CopyData."""

    type: ClassVar[int] = BackendType.CopyInResponse
    format: int
    """0 text, 1 binary."""
    column_formats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyOutResponse:
    """CopyData follows."""

    type: ClassVar[int] = BackendType.CopyOutResponse
    format: int
    column_formats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyBothResponse:
    """CopyData goes both ways: replication."""

    type: ClassVar[int] = BackendType.CopyBothResponse
    format: int
    column_formats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionCallResponse:
    """What a FunctionCall gave."""

    type: ClassVar[int] = BackendType.FunctionCallResponse
    value: bytes | None


@dataclass(frozen=True, slots=True)
class _Fields:
    """Fields of an error or notice, by their code letter (manual: Error and Notice Message Fields)."""

    fields: tuple[tuple[bytes, bytes], ...]

    def field(self, code: bytes) -> str | None:
        """Return the text of a field, or None when it was not sent."""
        for name, value in self.fields:
            if name == code:
                return value.decode("utf-8", "replace")
        return None

    @property
    def severity(self) -> str:
        """``ERROR``, ``FATAL``, ``PANIC``, ``WARNING``, …, never translated when the server sent ``V``."""
        return self.field(b"V") or self.field(b"S") or ""

    @property
    def sqlstate(self) -> str:
        """Five characters, or empty."""
        return self.field(b"C") or ""

    @property
    def message(self) -> str:
        """The primary message."""
        return self.field(b"M") or ""

    @property
    def detail(self) -> str | None:
        """The detail, or None."""
        return self.field(b"D")

    @property
    def hint(self) -> str | None:
        """The hint, or None."""
        return self.field(b"H")


@dataclass(frozen=True, slots=True)
class ErrorResponse(_Fields):
    """An error. ``FATAL`` and ``PANIC`` end the connection."""

    type: ClassVar[int] = BackendType.ErrorResponse


@dataclass(frozen=True, slots=True)
class NoticeResponse(_Fields):
    """A notice or warning; may come at any time."""

    type: ClassVar[int] = BackendType.NoticeResponse


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    """Somebody said NOTIFY; may come at any time."""

    type: ClassVar[int] = BackendType.NotificationResponse
    process_id: int
    channel: bytes
    payload: bytes = b""


AuthenticationMessage: TypeAlias = (
    AuthenticationCleartextPassword
    | AuthenticationGSS
    | AuthenticationGSSContinue
    | AuthenticationKerberosV5
    | AuthenticationMD5Password
    | AuthenticationOk
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
    | AuthenticationSSPI
)

BackendMessage: TypeAlias = (
    AuthenticationMessage
    | BackendKeyData
    | BindComplete
    | CloseComplete
    | CommandComplete
    | CopyBothResponse
    | CopyData
    | CopyDone
    | CopyInResponse
    | CopyOutResponse
    | DataRow
    | EmptyQueryResponse
    | ErrorResponse
    | FunctionCallResponse
    | NegotiateProtocolVersion
    | NoData
    | NoticeResponse
    | NotificationResponse
    | ParameterDescription
    | ParameterStatus
    | ParseComplete
    | PortalSuspended
    | ReadyForQuery
    | RowDescription
)
