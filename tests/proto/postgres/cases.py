"""Messages and their bytes, written by hand after the manual's Message Formats."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import AuthReply

__all__ = ["BACKEND_CASES", "FRONTEND_CASES", "STARTUP_CASES", "Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """A message of the table."""

    name: str
    message: m.FrontendMessage | m.BackendMessage
    wire: bytes
    is_open: bool = False
    """True when the payload has no end of its own, so that a shorter or longer one is legal too."""
    auth_reply: AuthReply = AuthReply.PasswordMessage

    @property
    def payload(self) -> bytes:
        return self.wire[5:]


FRONTEND_CASES = [
    Case("query", m.Query(b"select 1"), b"Q\0\0\0\x0dselect 1\0"),
    Case("empty query", m.Query(b""), b"Q\0\0\0\x05\0"),
    Case("query in latin-1", m.Query(b"select '\xe9'"), b"Q\0\0\0\x0fselect '\xe9'\0"),
    Case("parse unnamed", m.Parse(b"", b"begin"), b"P\0\0\0\x0d\0begin\0\0\0"),
    Case(
        "parse named with types",
        m.Parse(b"s1", b"select $1", (23, 4294967295)),
        b"P\0\0\0\x1bs1\0select $1\0\0\x02\0\0\0\x17\xff\xff\xff\xff",
    ),
    Case("bind empty", m.Bind(b"", b""), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"),
    Case(
        "bind",
        m.Bind(b"p", b"s", (0, 1, 1), (b"ab", None, b""), (1,)),
        b"B\0\0\0\x24p\0s\0\0\x03\0\0\0\x01\0\x01\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\x01\0\x01",
    ),
    Case(
        "bind one format for all",
        m.Bind(b"", b"s", (1,), (b"x", b"y"), ()),
        b"B\0\0\0\x19\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\0\0\0\x01y\0\0",
    ),
    Case("describe statement", m.Describe(b"S", b"s1"), b"D\0\0\0\x08Ss1\0"),
    Case("describe portal", m.Describe(b"P", b""), b"D\0\0\0\x06P\0"),
    Case("execute", m.Execute(b"", 0), b"E\0\0\0\x09\0\0\0\0\0"),
    Case("execute some rows", m.Execute(b"p", 100), b"E\0\0\0\x0ap\0\0\0\0\x64"),
    Case("close statement", m.Close(b"S", b"s1"), b"C\0\0\0\x08Ss1\0"),
    Case("close portal", m.Close(b"P", b""), b"C\0\0\0\x06P\0"),
    Case("flush", m.Flush(), b"H\0\0\0\x04"),
    Case("sync", m.Sync(), b"S\0\0\0\x04"),
    Case("terminate", m.Terminate(), b"X\0\0\0\x04"),
    Case("copy data", m.CopyData(b"1\ta\n"), b"d\0\0\0\x081\ta\n", is_open=True),
    Case("copy data empty", m.CopyData(b""), b"d\0\0\0\x04", is_open=True),
    Case("copy done", m.CopyDone(), b"c\0\0\0\x04"),
    Case("copy fail", m.CopyFail(b"no"), b"f\0\0\0\x07no\0"),
    Case(
        "function call",
        m.FunctionCall(1598, (1,), (b"\0\0", None), 1),
        b"F\0\0\0\x1a\0\0\x06\x3e\0\x01\0\x01\0\x02\0\0\0\x02\0\0\xff\xff\xff\xff\0\x01",
    ),
    Case("password", m.PasswordMessage(b"secret"), b"p\0\0\0\x0bsecret\0"),
    Case(
        "sasl initial response",
        m.SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=abc"),
        b"p\0\0\0\x21SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc",
        auth_reply=AuthReply.SASLInitialResponse,
    ),
    Case(
        "sasl initial response without data",
        m.SASLInitialResponse(b"X", None),
        b"p\0\0\0\x0aX\0\xff\xff\xff\xff",
        auth_reply=AuthReply.SASLInitialResponse,
    ),
    Case("sasl response", m.SASLResponse(b"c=biws"), b"p\0\0\0\x0ac=biws", True, AuthReply.SASLResponse),
    Case("gss response", m.GSSResponse(b"\x60\0"), b"p\0\0\0\x06\x60\0", True, AuthReply.GSSResponse),
]

BACKEND_CASES = [
    Case("authentication ok", m.AuthenticationOk(), b"R\0\0\0\x08\0\0\0\0"),
    Case("authentication kerberos", m.AuthenticationKerberosV5(), b"R\0\0\0\x08\0\0\0\x02"),
    Case("authentication cleartext", m.AuthenticationCleartextPassword(), b"R\0\0\0\x08\0\0\0\x03"),
    Case("authentication md5", m.AuthenticationMD5Password(b"\x01\0\x02\xff"), b"R\0\0\0\x0c\0\0\0\x05\x01\0\x02\xff"),
    Case("authentication gss", m.AuthenticationGSS(), b"R\0\0\0\x08\0\0\0\x07"),
    Case("authentication gss continue", m.AuthenticationGSSContinue(b"t"), b"R\0\0\0\x09\0\0\0\x08t", is_open=True),
    Case("authentication sspi", m.AuthenticationSSPI(), b"R\0\0\0\x08\0\0\0\x09"),
    Case(
        "authentication sasl",
        m.AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256")),
        b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    ),
    Case("authentication sasl continue", m.AuthenticationSASLContinue(b"r="), b"R\0\0\0\x0a\0\0\0\x0br=", is_open=True),
    Case("authentication sasl final", m.AuthenticationSASLFinal(b"v="), b"R\0\0\0\x0a\0\0\0\x0cv=", is_open=True),
    Case("negotiate", m.NegotiateProtocolVersion(196608), b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0"),
    Case(
        "negotiate options",
        m.NegotiateProtocolVersion(196610, (b"_pq_.a", b"_pq_.b")),
        b"v\0\0\0\x1a\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0",
    ),
    Case("key data 3.0", m.BackendKeyData(4711, b"\xde\xad\xbe\xef"), b"K\0\0\0\x0c\0\0\x12\x67\xde\xad\xbe\xef"),
    Case("key data 3.2", m.BackendKeyData(1, b"k" * 32), b"K\0\0\0\x28\0\0\0\x01" + b"k" * 32, is_open=True),
    Case("parameter status", m.ParameterStatus(b"TimeZone", b"UTC"), b"S\0\0\0\x11TimeZone\0UTC\0"),
    Case("ready idle", m.ReadyForQuery(ord("I")), b"Z\0\0\0\x05I"),
    Case("ready in transaction", m.ReadyForQuery(ord("T")), b"Z\0\0\0\x05T"),
    Case("ready failed", m.ReadyForQuery(ord("E")), b"Z\0\0\0\x05E"),
    Case("parse complete", m.ParseComplete(), b"1\0\0\0\x04"),
    Case("bind complete", m.BindComplete(), b"2\0\0\0\x04"),
    Case("close complete", m.CloseComplete(), b"3\0\0\0\x04"),
    Case("no data", m.NoData(), b"n\0\0\0\x04"),
    Case("empty query response", m.EmptyQueryResponse(), b"I\0\0\0\x04"),
    Case("portal suspended", m.PortalSuspended(), b"s\0\0\0\x04"),
    Case("parameter description", m.ParameterDescription((23, 25)), b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19"),
    Case("parameter description empty", m.ParameterDescription(), b"t\0\0\0\x06\0\0"),
    Case(
        "row description",
        m.RowDescription((m.FieldDescription(b"a", 23, 16384, -1, 4, -1, 1),)),
        b"T\0\0\0\x1a\0\x01a\0\0\0\x40\0\xff\xff\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01",
    ),
    Case("row description empty", m.RowDescription(), b"T\0\0\0\x06\0\0"),
    Case("data row", m.DataRow((b"1", None, b"")), b"D\0\0\0\x13\0\x03\0\0\0\x011\xff\xff\xff\xff\0\0\0\0"),
    Case("data row empty", m.DataRow(), b"D\0\0\0\x06\0\0"),
    Case("command complete", m.CommandComplete(b"SELECT 1"), b"C\0\0\0\x0dSELECT 1\0"),
    Case("copy in response", m.CopyInResponse(0, (0, 0)), b"G\0\0\0\x0b\0\0\x02\0\0\0\0"),
    Case("copy out response", m.CopyOutResponse(1, (1,)), b"H\0\0\0\x09\x01\0\x01\0\x01"),
    Case("copy both response", m.CopyBothResponse(0), b"W\0\0\0\x07\0\0\0"),
    Case("copy data", m.CopyData(b"x\0y"), b"d\0\0\0\x07x\0y", is_open=True),
    Case("copy done", m.CopyDone(), b"c\0\0\0\x04"),
    Case("function call response", m.FunctionCallResponse(b"ab"), b"V\0\0\0\x0a\0\0\0\x02ab"),
    Case("function call response null", m.FunctionCallResponse(None), b"V\0\0\0\x08\xff\xff\xff\xff"),
    Case(
        "error response",
        m.ErrorResponse(((b"S", b"ERROR"), (b"C", b"42601"), (b"M", b"no"))),
        b"E\0\0\0\x17SERROR\0C42601\0Mno\0\0",
    ),
    Case("error response empty", m.ErrorResponse(()), b"E\0\0\0\x05\0"),
    Case("notice response", m.NoticeResponse(((b"S", b"NOTICE"),)), b"N\0\0\0\x0dSNOTICE\0\0"),
    Case("notification", m.NotificationResponse(7, b"ch", b"hi"), b"A\0\0\0\x0e\0\0\0\x07ch\0hi\0"),
]

STARTUP_CASES: list[tuple[str, m.StartupPacket, bytes]] = [
    (
        "startup 3.0",
        m.StartupMessage(((b"user", b"u"), (b"database", b"d"))),
        b"\0\0\0\x1b\0\x03\0\0user\0u\0database\0d\0\0",
    ),
    ("startup 3.2 empty", m.StartupMessage((), 196610), b"\0\0\0\x09\0\x03\0\x02\0"),
    ("startup grease", m.StartupMessage(((b"_pq_.x", b""),), 206607), b"\0\0\0\x11\0\x03\x27\x0f_pq_.x\0\0\0"),
    ("ssl request", m.SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    ("gssenc request", m.GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    ("cancel 3.0", m.CancelRequest(9, b"\0\0\0\x01"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x09\0\0\0\x01"),
    ("cancel 3.2", m.CancelRequest(-9, b"k" * 256), b"\0\0\x01\x0c\x04\xd2\x16\x2e\xff\xff\xff\xf7" + b"k" * 256),
]
