"""Messages → bytes of the wire (PURE; manual: Message Formats): the mirror of the two parser modules."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from longshore.errors import ArgumentValueError
from longshore.proto.postgres import backend_messages as backend
from longshore.proto.postgres import frontend_messages as frontend
from longshore.proto.postgres.constants import (
    CANCEL_REQUEST_CODE,
    GSSENC_REQUEST_CODE,
    SSL_REQUEST_CODE,
)
from longshore.proto.postgres.wire import (
    INT32,
    LENGTH_BYTES,
    UINT16,
    UINT32,
    make_cstring,
    make_message,
    make_uint16_list,
    make_uint32_list,
    make_value,
    make_value_list,
)

__all__ = ["serialize", "serialize_startup"]

_COPY_HEAD = struct.Struct("!B")
_FIELD_TAIL = struct.Struct("!IhIhiH")
_VERSION = struct.Struct("!ii")


def serialize(message: frontend.FrontendMessage | backend.BackendMessage) -> bytes:
    """Return type byte, length and payload.

    Raises:
        ArgumentValueError: a value does not fit: a NUL in a string, a number or count out of range.
    """
    kind = type(message)
    try:
        if (code := getattr(kind, "code", None)) is not None:
            payload = INT32.pack(code) + _AUTHENTICATION.get(kind, _nothing)(message)
        else:
            payload = _PAYLOADS.get(kind, _nothing)(message)
        return make_message(kind.type, payload)
    except (struct.error, OverflowError) as exc:
        raise ArgumentValueError(f"{kind.__name__} does not fit the wire: {exc}") from exc


def serialize_startup(packet: frontend.StartupPacket) -> bytes:
    """Return the length, the code and what belongs to it (manual: these have no type byte).

    Raises:
        ArgumentValueError: a value does not fit.
    """
    try:
        payload = _startup_payload(packet)
        return UINT32.pack(len(payload) + LENGTH_BYTES) + payload
    except struct.error as exc:
        raise ArgumentValueError(f"{type(packet).__name__} does not fit the wire: {exc}") from exc


def _startup_payload(packet: frontend.StartupPacket) -> bytes:
    if isinstance(packet, frontend.StartupMessage):
        pairs = [make_cstring(_named(name)) + make_cstring(value) for name, value in packet.parameters]
        return INT32.pack(packet.version) + b"".join(pairs) + b"\0"
    if isinstance(packet, frontend.CancelRequest):
        return _VERSION.pack(CANCEL_REQUEST_CODE, packet.process_id) + packet.secret_key
    return INT32.pack(SSL_REQUEST_CODE if isinstance(packet, frontend.SSLRequest) else GSSENC_REQUEST_CODE)


def _named(name: bytes) -> bytes:
    """Refuse the empty name, which would end the list it stands in."""
    if not name:
        raise ArgumentValueError("a name in a list that an empty name ends must not be empty")
    return name


def _nothing(_: object) -> bytes:
    return b""


def _parse(message: frontend.Parse) -> bytes:
    return make_cstring(message.name) + make_cstring(message.query) + make_uint32_list(message.parameter_types)


def _bind(message: frontend.Bind) -> bytes:
    return b"".join(
        (
            make_cstring(message.portal),
            make_cstring(message.statement),
            make_uint16_list(message.parameter_formats),
            make_value_list(message.parameters),
            make_uint16_list(message.result_formats),
        )
    )


def _statement_or_portal(message: frontend.Describe | frontend.Close) -> bytes:
    if message.kind not in (b"S", b"P"):
        raise ArgumentValueError(f"kind must be b'S' or b'P', got {message.kind!r}")
    return message.kind + make_cstring(message.name)


def _function_call(message: frontend.FunctionCall) -> bytes:
    return b"".join(
        (
            UINT32.pack(message.function),
            make_uint16_list(message.argument_formats),
            make_value_list(message.arguments),
            UINT16.pack(message.result_format),
        )
    )


def _negotiate(message: backend.NegotiateProtocolVersion) -> bytes:
    return _VERSION.pack(message.version, len(message.options)) + b"".join(map(make_cstring, message.options))


def _field_description(item: backend.FieldDescription) -> bytes:
    return make_cstring(item.name) + _FIELD_TAIL.pack(
        item.table_oid, item.column, item.type_oid, item.type_size, item.type_modifier, item.format
    )


def _copy_response(message: backend.CopyInResponse | backend.CopyOutResponse | backend.CopyBothResponse) -> bytes:
    return _COPY_HEAD.pack(message.format) + make_uint16_list(message.column_formats)


def _fields(message: backend.ErrorResponse | backend.NoticeResponse) -> bytes:
    return b"".join([_field_code(code) + make_cstring(value) for code, value in message.fields]) + b"\0"


def _field_code(code: bytes) -> bytes:
    if len(code) != 1 or code == b"\0":
        raise ArgumentValueError(f"the code of an error field must be one byte that is not NUL, got {code!r}")
    return code


def _notification(message: backend.NotificationResponse) -> bytes:
    return INT32.pack(message.process_id) + make_cstring(message.channel) + make_cstring(message.payload)


_Make = Callable[[Any], bytes]

_AUTHENTICATION: Final[dict[type, _Make]] = {
    backend.AuthenticationMD5Password: lambda m: m.salt,
    backend.AuthenticationGSSContinue: lambda m: m.data,
    backend.AuthenticationSASL: lambda m: b"".join([make_cstring(_named(x)) for x in m.mechanisms]) + b"\0",
    backend.AuthenticationSASLContinue: lambda m: m.data,
    backend.AuthenticationSASLFinal: lambda m: m.data,
}

_PAYLOADS: Final[dict[type, _Make]] = {
    frontend.Bind: _bind,
    frontend.Close: _statement_or_portal,
    frontend.CopyData: lambda m: m.data,
    frontend.CopyFail: lambda m: make_cstring(m.message),
    frontend.Describe: _statement_or_portal,
    frontend.Execute: lambda m: make_cstring(m.portal) + INT32.pack(m.max_rows),
    frontend.FunctionCall: _function_call,
    frontend.GSSResponse: lambda m: m.data,
    frontend.Parse: _parse,
    frontend.PasswordMessage: lambda m: make_cstring(m.password),
    frontend.Query: lambda m: make_cstring(m.query),
    frontend.SASLInitialResponse: lambda m: make_cstring(m.mechanism) + make_value(m.data),
    frontend.SASLResponse: lambda m: m.data,
    backend.BackendKeyData: lambda m: INT32.pack(m.process_id) + m.secret_key,
    backend.CommandComplete: lambda m: make_cstring(m.tag),
    backend.CopyBothResponse: _copy_response,
    backend.CopyInResponse: _copy_response,
    backend.CopyOutResponse: _copy_response,
    backend.DataRow: lambda m: make_value_list(m.values),
    backend.ErrorResponse: _fields,
    backend.FunctionCallResponse: lambda m: make_value(m.value),
    backend.NegotiateProtocolVersion: _negotiate,
    backend.NoticeResponse: _fields,
    backend.NotificationResponse: _notification,
    backend.ParameterDescription: lambda m: make_uint32_list(m.parameter_types),
    backend.ParameterStatus: lambda m: make_cstring(m.name) + make_cstring(m.value),
    backend.ReadyForQuery: lambda m: bytes((m.status,)),
    backend.RowDescription: lambda m: UINT16.pack(len(m.fields)) + b"".join(map(_field_description, m.fields)),
}
"""A message that is in neither table has no payload."""
