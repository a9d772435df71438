"""Payloads of a server's messages → values (PURE; manual: Message Formats).

Each function takes the bytes behind the length word and gives the message or raises ``ProtocolViolation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from longshore.proto.postgres.backend_messages import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    BackendKeyData,
    BackendMessage,
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    ErrorResponse,
    FieldDescription,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
)
from longshore.proto.postgres.constants import (
    MAX_CANCEL_KEY_BYTES,
    MIN_CANCEL_KEY_BYTES,
    AuthCode,
    BackendType,
)
from longshore.proto.postgres.frontend_messages import CopyData, CopyDone
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.proto.postgres.wire import Payload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BACKEND_PARSERS", "parse_backend", "read_cancel_key"]

MD5_SALT_BYTES = 4
_FORMATS = (0, 1)

CopyT = TypeVar("CopyT", CopyInResponse, CopyOutResponse, CopyBothResponse)


def parse_backend(message_type: int, payload: bytes) -> BackendMessage:
    """Return the message of a server.

    Args:
        message_type: the first byte.
        payload: all behind the length word.

    Raises:
        ProtocolViolation: the type does not exist, or the payload is malformed.
    """
    parser = BACKEND_PARSERS.get(message_type)
    if parser is None:
        raise ProtocolViolation("invalid backend message type", message_type=message_type, is_fatal=True)
    reader = Payload(payload, message_type)
    message = parser(reader)
    reader.end()
    return message


def parse_authentication(reader: Payload) -> AuthenticationMessage:
    """Authentication…: Int32 code, and what belongs to it."""
    code = reader.int32()
    parser = AUTHENTICATION_PARSERS.get(code)
    if parser is None:
        reader.position = 0
        reader.fail(f"unknown authentication request {code}")
    return parser(reader)


def parse_sasl(reader: Payload) -> AuthenticationSASL:
    """AuthenticationSASL: names, ended by an empty one."""
    mechanisms = []
    while name := reader.string():
        mechanisms.append(name)
    return AuthenticationSASL(tuple(mechanisms))


def parse_backend_key_data(reader: Payload) -> BackendKeyData:
    """BackendKeyData: Int32, and a key of 4 to 256 bytes (3.2; 3.0 always has 4)."""
    return BackendKeyData(reader.int32(), read_cancel_key(reader))


def read_cancel_key(reader: Payload) -> bytes:
    """Return the rest as the key of BackendKeyData or CancelRequest."""
    if not MIN_CANCEL_KEY_BYTES <= reader.remaining <= MAX_CANCEL_KEY_BYTES:
        reader.fail(
            f"cancel key of {reader.remaining} bytes, expected {MIN_CANCEL_KEY_BYTES} to {MAX_CANCEL_KEY_BYTES}"
        )
    return reader.rest()


def parse_negotiate_protocol_version(reader: Payload) -> NegotiateProtocolVersion:
    """NegotiateProtocolVersion: version, count, names."""
    version, count = reader.int32(), reader.int32()
    if not 0 <= count <= reader.remaining:
        reader.fail(f"{count} options announced, {reader.remaining} bytes left")
    return NegotiateProtocolVersion(version, tuple([reader.string() for _ in range(count)]))


def parse_parameter_status(reader: Payload) -> ParameterStatus:
    """ParameterStatus: name, value."""
    return ParameterStatus(reader.string(), reader.string())


def parse_ready_for_query(reader: Payload) -> ReadyForQuery:
    """ReadyForQuery: ``I``, ``T`` or ``E``."""
    status = reader.byte()
    if status not in b"ITE":
        reader.position = 0
        reader.fail(f"unknown transaction status 0x{status:02x}")
    return ReadyForQuery(status)


def parse_row_description(reader: Payload) -> RowDescription:
    """RowDescription: count, columns."""
    return RowDescription(tuple([_field_description(reader) for _ in range(reader.uint16())]))


def _field_description(reader: Payload) -> FieldDescription:
    name = reader.string()
    table_oid, column = reader.uint32(), reader.int16()
    type_oid, type_size, type_modifier = reader.uint32(), reader.int16(), reader.int32()
    return FieldDescription(name, type_oid, table_oid, column, type_size, type_modifier, _format(reader, reader.uint16))


def parse_data_row(reader: Payload) -> DataRow:
    """DataRow: count, values."""
    return DataRow(reader.value_list())


def parse_copy_response(kind: type[CopyT]) -> Callable[[Payload], CopyT]:
    """Copy…Response: Int8 format, count, formats of the columns."""

    def parse(reader: Payload) -> CopyT:
        return kind(_format(reader, reader.byte), reader.uint16_list())

    return parse


def _format(reader: Payload, read: Callable[[], int]) -> int:
    if (code := read()) not in _FORMATS:
        reader.fail(f"unknown format code {code}")
    return code


def _fields(reader: Payload) -> tuple[tuple[bytes, bytes], ...]:
    fields = []
    while (code := reader.take(1)) != b"\0":
        fields.append((code, reader.string()))
    return tuple(fields)


def parse_notification(reader: Payload) -> NotificationResponse:
    """NotificationResponse: Int32, channel, payload."""
    return NotificationResponse(reader.int32(), reader.string(), reader.string())


AUTHENTICATION_PARSERS: Final[dict[int, Callable[[Payload], AuthenticationMessage]]] = {
    AuthCode.Ok: lambda _: AuthenticationOk(),
    AuthCode.KerberosV5: lambda _: AuthenticationKerberosV5(),
    AuthCode.CleartextPassword: lambda _: AuthenticationCleartextPassword(),
    AuthCode.MD5Password: lambda reader: AuthenticationMD5Password(reader.take(MD5_SALT_BYTES)),
    AuthCode.GSS: lambda _: AuthenticationGSS(),
    AuthCode.GSSContinue: lambda reader: AuthenticationGSSContinue(reader.rest()),
    AuthCode.SSPI: lambda _: AuthenticationSSPI(),
    AuthCode.SASL: parse_sasl,
    AuthCode.SASLContinue: lambda reader: AuthenticationSASLContinue(reader.rest()),
    AuthCode.SASLFinal: lambda reader: AuthenticationSASLFinal(reader.rest()),
}

BACKEND_PARSERS: Final[dict[int, Callable[[Payload], BackendMessage]]] = {
    BackendType.Authentication: parse_authentication,
    BackendType.BackendKeyData: parse_backend_key_data,
    BackendType.BindComplete: lambda _: BindComplete(),
    BackendType.CloseComplete: lambda _: CloseComplete(),
    BackendType.CommandComplete: lambda reader: CommandComplete(reader.string()),
    BackendType.CopyBothResponse: parse_copy_response(CopyBothResponse),
    BackendType.CopyData: lambda reader: CopyData(reader.rest()),
    BackendType.CopyDone: lambda _: CopyDone(),
    BackendType.CopyInResponse: parse_copy_response(CopyInResponse),
    BackendType.CopyOutResponse: parse_copy_response(CopyOutResponse),
    BackendType.DataRow: parse_data_row,
    BackendType.EmptyQueryResponse: lambda _: EmptyQueryResponse(),
    BackendType.ErrorResponse: lambda reader: ErrorResponse(_fields(reader)),
    BackendType.FunctionCallResponse: lambda reader: FunctionCallResponse(reader.value()),
    BackendType.NegotiateProtocolVersion: parse_negotiate_protocol_version,
    BackendType.NoData: lambda _: NoData(),
    BackendType.NoticeResponse: lambda reader: NoticeResponse(_fields(reader)),
    BackendType.NotificationResponse: parse_notification,
    BackendType.ParameterDescription: lambda reader: ParameterDescription(reader.uint32_list()),
    BackendType.ParameterStatus: parse_parameter_status,
    BackendType.ParseComplete: lambda _: ParseComplete(),
    BackendType.PortalSuspended: lambda _: PortalSuspended(),
    BackendType.ReadyForQuery: parse_ready_for_query,
    BackendType.RowDescription: parse_row_description,
}
