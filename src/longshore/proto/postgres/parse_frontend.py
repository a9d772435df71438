"""Payloads of a client's messages → values (PURE; manual: Message Formats).

Each function takes the bytes behind the length word and gives the message or raises ``ProtocolViolation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import AuthReply, FrontendType
from longshore.proto.postgres.frontend_messages import (
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FrontendMessage,
    FunctionCall,
    GSSResponse,
    Parse,
    PasswordMessage,
    Query,
    SASLInitialResponse,
    SASLResponse,
    Sync,
    Terminate,
)
from longshore.proto.postgres.violation import ProtocolViolation
from longshore.proto.postgres.wire import Payload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FRONTEND_PARSERS", "parse_frontend"]


def parse_frontend(
    message_type: int, payload: bytes, *, auth_reply: AuthReply = AuthReply.PasswordMessage
) -> FrontendMessage:
    """Return the message of a client.

    Args:
        message_type: the first byte.
        payload: all behind the length word.
        auth_reply: what a ``p`` means now.

    Raises:
        ProtocolViolation: the type does not exist, or the payload is malformed.
    """
    if message_type == FrontendType.PasswordMessage:
        parser = AUTH_PARSERS[auth_reply]
    elif (known := FRONTEND_PARSERS.get(message_type)) is not None:
        parser = known
    else:
        raise ProtocolViolation("invalid frontend message type", message_type=message_type, is_fatal=True)
    reader = Payload(payload, message_type)
    message = parser(reader)
    reader.end()
    return message


def parse_query(reader: Payload) -> Query:
    """Query: String."""
    return Query(reader.string())


def parse_parse(reader: Payload) -> Parse:
    """Parse: name, query, types of parameters."""
    return Parse(reader.string(), reader.string(), reader.uint32_list())


def parse_bind(reader: Payload) -> Bind:
    """Bind: portal, statement, formats, values, formats of the result."""
    portal, statement = reader.string(), reader.string()
    formats = reader.uint16_list()
    values = reader.value_list()
    _check_formats(reader, "parameters", len(formats), len(values))
    return Bind(portal, statement, formats, values, reader.uint16_list())


def parse_describe(reader: Payload) -> Describe:
    """Describe: ``S`` or ``P``, name."""
    return Describe(_statement_or_portal(reader), reader.string())


def parse_close(reader: Payload) -> Close:
    """Close: ``S`` or ``P``, name."""
    return Close(_statement_or_portal(reader), reader.string())


def parse_execute(reader: Payload) -> Execute:
    """Execute: portal, most rows."""
    return Execute(reader.string(), reader.int32())


def parse_function_call(reader: Payload) -> FunctionCall:
    """FunctionCall: OID, formats, arguments, format of the result."""
    function = reader.uint32()
    formats = reader.uint16_list()
    arguments = reader.value_list()
    _check_formats(reader, "arguments", len(formats), len(arguments))
    return FunctionCall(function, formats, arguments, reader.uint16())


def parse_copy_fail(reader: Payload) -> CopyFail:
    """CopyFail: why."""
    return CopyFail(reader.string())


def parse_copy_data(reader: Payload) -> CopyData:
    """CopyData: all of it."""
    return CopyData(reader.rest())


def parse_password(reader: Payload) -> PasswordMessage:
    """PasswordMessage: String."""
    return PasswordMessage(reader.string())


def parse_sasl_initial_response(reader: Payload) -> SASLInitialResponse:
    """SASLInitialResponse: mechanism, first message or -1."""
    return SASLInitialResponse(reader.string(), reader.value())


def parse_sasl_response(reader: Payload) -> SASLResponse:
    """SASLResponse: all of it."""
    return SASLResponse(reader.rest())


def parse_gss_response(reader: Payload) -> GSSResponse:
    """GSSResponse: all of it."""
    return GSSResponse(reader.rest())


def _statement_or_portal(reader: Payload) -> bytes:
    kind = reader.take(1)
    if kind not in (b"S", b"P"):
        reader.position -= 1
        reader.fail(f"invalid subtype {kind!r}, expected 'S' or 'P'")
    return kind


def _check_formats(reader: Payload, what: str, formats: int, values: int) -> None:
    """Check that there are no formats, one for all, or one each."""
    if formats not in (0, 1, values):
        reader.fail(f"{formats} formats for {values} {what}")


FRONTEND_PARSERS: Final[dict[int, Callable[[Payload], FrontendMessage]]] = {
    FrontendType.Bind: parse_bind,
    FrontendType.Close: parse_close,
    FrontendType.CopyData: parse_copy_data,
    FrontendType.CopyDone: lambda _: CopyDone(),
    FrontendType.CopyFail: parse_copy_fail,
    FrontendType.Describe: parse_describe,
    FrontendType.Execute: parse_execute,
    FrontendType.Flush: lambda _: Flush(),
    FrontendType.FunctionCall: parse_function_call,
    FrontendType.Parse: parse_parse,
    FrontendType.Query: parse_query,
    FrontendType.Sync: lambda _: Sync(),
    FrontendType.Terminate: lambda _: Terminate(),
}
"""All but ``p``."""

AUTH_PARSERS: Final[dict[AuthReply, Callable[[Payload], FrontendMessage]]] = {
    AuthReply.PasswordMessage: parse_password,
    AuthReply.SASLInitialResponse: parse_sasl_initial_response,
    AuthReply.SASLResponse: parse_sasl_response,
    AuthReply.GSSResponse: parse_gss_response,
}
