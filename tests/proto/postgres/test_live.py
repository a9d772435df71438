"""The codec, the logins and the state machines against a real PostgreSQL."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import AuthMethod, PlainPassword, md5_hash, parse_secret
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.auth_server import AuthRandomness, ServerAuthenticator
from longshore.proto.postgres.codec import parse_frontend, serialize_startup
from longshore.proto.postgres.constants import (
    EXTENDED_QUERY_TYPES,
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    PROTOCOL_GREASE,
    TransactionStatus,
)
from longshore.proto.postgres.framing import Frame, backend_reader, frontend_reader
from longshore.proto.postgres.scram import ScramKeys, make_verifier
from longshore.proto.postgres.scram_client import BindingPolicy
from longshore.proto.postgres.violation import ProtocolViolation
from tests.proto.postgres.pg_client import PgClient, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

SUPERUSER = Credentials(b"postgres")
PASSWORD = "pencil\u00a0\u2168"  # SASLprep makes "pencil IX" of it
METHODS = {"ls_md5": AuthMethod.MD5, "ls_scram": AuthMethod.SCRAM_SHA_256, "ls_password": AuthMethod.PASSWORD}


def connected(server: Server, credentials: Credentials = SUPERUSER, **options: ssl.SSLContext) -> PgClient:
    client = PgClient(server.port, **options)
    try:
        assert client.log_in(credentials) is None
    except BaseException:
        client.socket.close()
        raise
    return client


@pytest.fixture(scope="module")
def pg(postgres_server: Server) -> Iterator[Server]:
    """The server with three users more, who need passwords."""
    rules = postgres_server.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    lines = [f"host all {name} 127.0.0.1/32 {method.value}\n" for name, method in METHODS.items()]
    with connected(postgres_server) as client:
        for name, method in METHODS.items():
            encryption = "md5" if method is AuthMethod.MD5 else "scram-sha-256"
            fetch(client, f"set password_encryption = '{encryption}'; create role {name} login password '{PASSWORD}'")
        reload(client, rules, "".join(lines) + before)
        yield postgres_server
        reload(client, rules, before)
        fetch(client, f"drop role {', '.join(METHODS)}")


def reload(client: PgClient, rules: Path, text: str) -> None:
    """Put other rules in force: the server has read them when its sessions see another load time."""
    rules.write_text(text)
    ask = "select pg_conf_load_time()"
    was = fetch(client, ask)
    fetch(client, "select pg_reload_conf()")
    while fetch(client, ask) == was:
        pass


def types(messages: list[m.BackendMessage]) -> str:
    return "".join(chr(message.type) for message in messages)


def errors(messages: list[m.BackendMessage]) -> list[str]:
    return [message.sqlstate for message in messages if isinstance(message, m.ErrorResponse)]


# --- start-up ---------------------------------------------------------------------------------------------------------


def test_startup_gives_parameters_and_a_key(pg: Server) -> None:
    with PgClient(pg.port) as client:
        assert client.log_in(SUPERUSER, (b"application_name", b"longshore"), (b"TimeZone", b"UTC")) is None
        assert client.parameters[b"application_name"] == b"longshore"
        assert client.parameters[b"TimeZone"] == b"UTC"
        assert client.key is not None
        assert len(client.key.secret_key) == 4
        assert client.state.is_idle
        client.send(m.Terminate())
        assert client.socket.recv(1) == b""


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (PROTOCOL_3_2, ()),
        (PROTOCOL_GREASE, ((b"_pq_.test_protocol_negotiation", b""),)),
        (PROTOCOL_3_0, ((b"_pq_.a", b""),)),
    ],
)
def test_versions_are_negotiated(pg: Server, version: int, options: tuple[tuple[bytes, bytes], ...]) -> None:
    with PgClient(pg.port) as client:
        assert client.log_in(SUPERUSER, *options, version=version) is None
        assert client.heard[:1] == b"v"
        assert client.version <= version
        assert fetch(client, "select 1") == [(b"1",)]


def test_another_major_version_is_refused(pg: Server) -> None:
    with PgClient(pg.port) as client:
        error = client.log_in(SUPERUSER, version=4 << 16)
        assert error is not None
        assert (error.severity, error.sqlstate) == ("FATAL", "0A000")
        assert client.state.is_closed


def test_a_request_for_gss_encryption_is_answered_with_one_byte(pg: Server) -> None:
    with PgClient(pg.port) as client:
        client.socket.sendall(serialize_startup(m.GSSENCRequest()))
        answer = client.socket.recv(2)
        assert answer in (b"G", b"N")  # as it was built
        if answer == b"N":
            assert client.log_in(SUPERUSER) is None


# --- logins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), METHODS.items(), ids=METHODS)
def test_login(pg: Server, name: str, method: AuthMethod) -> None:
    secret = PlainPassword(PASSWORD.encode())
    with connected(pg, Credentials(name.encode(), secret, methods=frozenset({method}))) as client:
        assert fetch(client, "select current_user") == [(name.encode(),)]
    with PgClient(pg.port) as client:
        error = client.log_in(Credentials(name.encode(), PlainPassword(b"wrong")))
        assert error is not None
        assert (error.severity, error.sqlstate) == ("FATAL", "28P01")


def test_login_with_what_the_server_stores_for_md5(pg: Server) -> None:
    with connected(pg, Credentials(b"ls_md5", md5_hash(b"ls_md5", PASSWORD.encode()))) as client:
        assert fetch(client, "select current_user") == [(b"ls_md5",)]


def test_scram_without_saslprep_is_the_same_password(pg: Server) -> None:
    with connected(pg, Credentials(b"ls_scram", PlainPassword(b"pencil IX"))) as client:
        assert client.state.is_idle


@pytest.mark.parametrize("policy", BindingPolicy)
def test_scram_with_channel_binding(pg: Server, policy: BindingPolicy, ca: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    credentials = Credentials(b"ls_scram", PlainPassword(PASSWORD.encode()), binding_policy=policy)
    with connected(pg, credentials, context=context) as client:
        assert fetch(client, "select ssl from pg_stat_ssl where pid = pg_backend_pid()") == [(b"t",)]
        offered = m.AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"))
        assert offered.mechanisms[0] in bytes(client.heard)


def test_wrong_channel_binding_is_refused(pg: Server, ca: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    with PgClient(pg.port, context=context) as client:
        client.binding = b"x" * 32
        error = client.log_in(Credentials(b"ls_scram", PlainPassword(PASSWORD.encode())))
        assert error is not None
        assert error.sqlstate in ("28000", "28P01")


def test_verifier_pass_through(pg: Server) -> None:
    """A client logs in to us with the server's verifier, and we log in to the server as that client."""
    with connected(pg) as client:
        ((stored,),) = fetch(client, "select rolpassword from pg_authid where rolname = 'ls_scram'")
    assert stored is not None
    keys = learn_keys(stored.decode())
    with connected(pg, Credentials(b"ls_scram", keys)) as client:
        assert fetch(client, "select current_user") == [(b"ls_scram",)]


def learn_keys(stored: str) -> ScramKeys:
    randomness = AuthRandomness(b64encode(os.urandom(18)), os.urandom(16), b"mock")
    server = ServerAuthenticator(b"ls_scram", parse_secret(stored), AuthMethod.SCRAM_SHA_256, randomness=randomness)
    credentials = Credentials(b"ls_scram", PlainPassword(PASSWORD.encode()))
    client = ClientAuthenticator(credentials, nonce=b64encode(os.urandom(18)))
    questions = [server.start()]
    while questions:
        if (reply := client.receive(questions.pop(0))) is not None:
            questions += server.receive(reply)
    assert server.scram_keys is not None
    return server.scram_keys


def test_the_server_takes_a_verifier_of_ours(pg: Server) -> None:
    verifier = make_verifier(b"other", salt=os.urandom(16), iterations=5000)
    with connected(pg) as admin:
        fetch(admin, f"alter role ls_scram password '{verifier}'")
        with connected(pg, Credentials(b"ls_scram", PlainPassword(b"other"))) as client:
            assert client.state.is_idle
        fetch(admin, f"set password_encryption = 'scram-sha-256'; alter role ls_scram password '{PASSWORD}'")


# --- queries ----------------------------------------------------------------------------------------------------------


def test_simple_queries(pg: Server) -> None:
    with connected(pg) as client:
        assert types(client.query("select 1 as a, null, ''")) == "TDCZ"
        assert fetch(client, "select 1 as a, null, ''") == [(b"1", None, b"")]
        assert types(client.query("")) == "IZ"
        assert types(client.query("select; select 1; set application_name = 'x'")) == "TDCTDCCSZ"
        assert errors(client.query("select 1; selct; select 2")) == ["42601"]
        assert types(client.query("do $$ begin raise notice 'hi'; end $$")) == "NCZ"


def test_transaction_status(pg: Server) -> None:
    with connected(pg) as client:
        for sql, status in (("begin", "T"), ("selct", "E"), ("select 1", "E"), ("rollback", "I")):
            client.query(sql)
            assert client.state.status is TransactionStatus(ord(status))


def test_pipeline_with_an_error_before_sync(pg: Server) -> None:
    batch = (m.Parse(b"", b"select 1"), m.Bind(b"", b""), m.Execute(b""))
    wrong = (m.Parse(b"", b"selct"), m.Bind(b"", b""), m.Query(b"select 9"), m.Execute(b""))
    with connected(pg) as client:
        client.send(*batch, m.Sync(), *batch, *wrong, m.Sync(), *batch, m.Sync())
        assert client.state.outstanding_syncs == 4
        assert types(client.until_ready()) == "12DCZ"
        assert types(client.until_ready()) == "12DCEZ"
        assert types(client.until_ready()) == "12DCZ"
        assert client.state.is_idle


def test_statements_portals_and_descriptions(pg: Server) -> None:
    with connected(pg) as client:
        client.send(m.Parse(b"s", b"select g, $2::text from generate_series(1, $1) g", (23,)))
        client.send(m.Describe(b"S", b"s"), m.Bind(b"p", b"s", (1, 0), (struct.pack("!i", 3), None), (1,)))
        client.send(m.Describe(b"P", b"p"), m.Execute(b"p", 2), m.Execute(b"p", 2), m.Close(b"P", b"p"), m.Flush())
        messages = client.until(lambda message: isinstance(message, m.CloseComplete))
        assert types(messages) == "1tT2TDDsDC3"
        assert messages[1] == m.ParameterDescription((23, 25))
        assert not client.state.is_idle
        client.send(m.Close(b"S", b"s"), m.Parse(b"", b"set search_path = public"), m.Describe(b"S", b""), m.Sync())
        assert types(client.until_ready()) == "31tnZ"
        assert client.state.is_idle


def test_a_commit_may_fail_at_sync(pg: Server) -> None:
    with connected(pg) as client:
        fetch(client, "create temp table t (a int primary key deferrable initially deferred)")
        client.send(m.Parse(b"", b"insert into t values (1), (1)"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
        messages = client.until_ready()
        assert types(messages) == "12CEZ"
        assert errors(messages) == ["23505"]


def test_function_call(pg: Server) -> None:
    with connected(pg) as client:
        ((oid,),) = fetch(client, "select 'int4pl'::regproc::oid")
        call = m.FunctionCall(int(oid or b"0"), (1,), (struct.pack("!i", 40), struct.pack("!i", 2)), 1)
        client.send(call)
        assert client.until_ready()[0] == m.FunctionCallResponse(struct.pack("!i", 42))
        client.send(m.FunctionCall(1))
        assert types(client.until_ready()) == "EZ"


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (m.Describe(b"S", b""), b"D\0\0\0\x06X\0"),
        (m.Bind(b"", b""), b"B\0\0\0\x10\0\0\0\x02\0\0\0\0\0\0\0\0"),
        (m.Query(b"a"), b"Q\0\0\0\x07a\0b"),
        # 1598 is random(): PostgreSQL looks the function up before it reads on.
        (m.FunctionCall(1598), b"F\0\0\0\x12\0\0\x06\x3e\0\x02\0\0\0\0\0\0\0\0"),
    ],
)
def test_a_malformed_message_is_one_to_postgres_too_and_the_session_goes_on(
    pg: Server, message: m.FrontendMessage, wire: bytes
) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        parse_frontend(wire[0], wire[5:])
    assert not caught.value.is_fatal
    with connected(pg) as client:
        client.send(m.Parse(b"", b"select 1"), m.Sync())
        client.until_ready()
        client.state.send(message)
        client.socket.sendall(wire)
        if message.type in EXTENDED_QUERY_TYPES:
            client.send(m.Sync())
        assert errors(client.until_ready()) == ["08P01"]
        assert fetch(client, "select 1") == [(b"1",)]


@pytest.mark.parametrize("wire", [b"Q\0\0\0\x03", b"y\0\0\0\x04", b"S\0\0\x27\x11", b"Z\0\0\0\x05I"])
def test_what_is_fatal_to_us_is_fatal_to_postgres(pg: Server, wire: bytes) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        frontend_reader().receive_data(wire)
    assert caught.value.is_fatal
    with connected(pg) as client:
        client.socket.sendall(wire)
        # It says so about a type; about a length it only closes (COMMERROR).
        if wire[:1] in b"yZ":
            assert errors([client.receive()]) == ["08P01"]
            assert client.state.is_closed
        assert client.socket.recv(1) == b""


# --- COPY -------------------------------------------------------------------------------------------------------------

COPY_IN = b"copy t from stdin"
COPY_EXTENDED = (m.Parse(b"", COPY_IN), m.Bind(b"", b""), m.Execute(b""))
ROWS = (m.CopyData(b"1\tone\n2\t"), m.CopyData(b"two\n"))


@pytest.fixture
def copying(pg: Server) -> Iterator[PgClient]:
    with connected(pg) as client:
        fetch(client, "create temp table t (a int, b text)")
        yield client
        assert client.state.status is TransactionStatus.IDLE
        assert fetch(client, "select 1") == [(b"1",)]
        assert client.state.is_idle


def test_copy_in_and_out(copying: PgClient) -> None:
    copying.send(m.Query(COPY_IN))
    assert copying.receive() == m.CopyInResponse(0, (0, 0))
    copying.send(*ROWS, m.CopyDone())
    assert types(copying.until_ready()) == "CZ"
    messages = copying.query("copy t to stdout")
    assert types(messages) == "HddcCZ"
    assert b"".join(item.data for item in messages if isinstance(item, m.CopyData)) == b"1\tone\n2\ttwo\n"
    copying.send(m.Parse(b"", b"copy t to stdout"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    assert types(copying.until_ready()) == "12HddcCZ"


def test_copy_fails_because_the_client_says_so(copying: PgClient) -> None:
    copying.send(m.Query(COPY_IN))
    copying.receive()
    copying.send(*ROWS, m.CopyFail(b"no"))
    assert errors(copying.until_ready()) == ["57014"]


def test_copy_fails_because_of_the_data(copying: PgClient) -> None:
    copying.send(m.Query(COPY_IN))
    copying.receive()
    copying.send(m.CopyData(b"x\ty\n"))
    assert errors(copying.until_ready()) == ["22P02"]
    copying.send(*ROWS, m.CopyDone())


def test_copy_in_the_extended_protocol_as_libpq_does(copying: PgClient) -> None:
    copying.send(*COPY_EXTENDED, m.Sync())
    assert types(copying.until(lambda message: isinstance(message, m.CopyInResponse))) == "12G"
    assert copying.state.outstanding_syncs == 0
    copying.send(*ROWS, m.CopyDone(), m.Sync())
    assert types(copying.until_ready()) == "CZ"
    assert copying.state.is_idle


def test_copy_by_a_client_who_does_not_wait(copying: PgClient) -> None:
    copying.send(*COPY_EXTENDED, m.Sync(), *ROWS, m.Flush(), m.CopyDone(), m.Sync(), m.Query(b"select 1"))
    assert types(copying.until_ready()) == "12GCZ"
    assert types(copying.until_ready()) == "TDCZ"
    assert copying.state.is_idle


def test_copy_that_fails_behind_an_ignored_sync(copying: PgClient) -> None:
    copying.send(*COPY_EXTENDED, m.Sync(), m.CopyData(b"x\ty\n"), m.CopyDone(), m.Sync())
    assert types(copying.until_ready()) == "12GEZ"
    assert copying.state.uncertain_syncs == 1
    assert not copying.state.is_idle
    copying.query("")
    assert copying.state.uncertain_syncs == 0


def test_a_long_row_streams(pg: Server) -> None:
    reader = backend_reader(max_whole_bytes=1024)
    with connected(pg) as client:
        client.heard.clear()
        assert fetch(client, "select repeat('x', 1000000)") == [(b"x" * 1_000_000,)]
        events = reader.receive_data(bytes(client.heard))
    assert b"".join(event.raw for event in events) == client.heard
    assert max(len(event.raw) for event in events if isinstance(event, Frame)) < 1024


# --- other sessions ---------------------------------------------------------------------------------------------------


def test_cancel(pg: Server) -> None:
    with connected(pg) as client, connected(pg) as other:
        assert client.key is not None
        client.send(m.Query(b"select pg_sleep(600)"))
        active = f"select 1 from pg_stat_activity where pid = {client.key.process_id} and wait_event = 'PgSleep'"
        while not fetch(other, active):
            pass
        with socket.create_connection(("127.0.0.1", pg.port), timeout=30) as cancel:
            cancel.sendall(serialize_startup(m.CancelRequest(client.key.process_id, client.key.secret_key)))
            assert cancel.recv(1) == b""
        assert errors(client.until_ready()) == ["57014"]


def test_notifications_come_to_an_idle_connection(pg: Server) -> None:
    with connected(pg) as client, connected(pg) as other:
        fetch(client, "listen ch")
        fetch(other, "notify ch, 'hello'")
        message = client.receive()
        assert other.key is not None
        assert message == m.NotificationResponse(other.key.process_id, b"ch", b"hello")
        assert client.state.is_idle


def test_a_terminated_session_hears_why(pg: Server) -> None:
    with connected(pg) as client, connected(pg) as other:
        assert client.key is not None
        fetch(other, f"select pg_terminate_backend({client.key.process_id})")
        message = client.receive()
        assert isinstance(message, m.ErrorResponse)
        assert (message.severity, message.sqlstate) == ("FATAL", "57P01")
        assert client.state.is_closed


def test_a_session_byte_by_byte(pg: Server) -> None:
    with connected(pg) as client:
        client.query("select 1, 'a'; selct")
        heard = bytes(client.heard)
    whole = backend_reader().receive_data(heard)
    reader = backend_reader()
    assert [event for i in range(len(heard)) for event in reader.receive_data(heard[i : i + 1])] == whole
    assert reader.is_between_messages
