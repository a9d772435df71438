"""Both sides of a login, against each other."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import (
    AuthMethod,
    Md5Hash,
    PlainPassword,
    Secret,
    has_password,
    md5_answer,
    md5_hash,
    parse_secret,
)
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.auth_server import AuthRandomness, ServerAuthenticator, default_method
from longshore.proto.postgres.codec import parse_backend, parse_frontend, serialize
from longshore.proto.postgres.constants import AuthReply
from longshore.proto.postgres.scram import ScramKeys, derive_keys, make_verifier
from longshore.proto.postgres.scram_client import BindingPolicy
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

RANDOMNESS = AuthRandomness(b"server-nonce", b"0123456789abcdef", b"mock")
PLAIN = PlainPassword(b"pencil")
MD5 = md5_hash(b"u", b"pencil")
VERIFIER = make_verifier(b"pencil", salt=b"salt", iterations=5)
KEYS = derive_keys(b"pencil", b"salt", 5)


def server_of(secret: Any, method: AuthMethod, **options: Any) -> ServerAuthenticator:
    return ServerAuthenticator(b"u", secret, method, randomness=RANDOMNESS, **options)


def client_of(secret: Any = PLAIN, *, binding: bytes | None = None, **options: Any) -> ClientAuthenticator:
    return ClientAuthenticator(Credentials(b"u", secret, **options), nonce=b"client-nonce", binding=binding)


def log_in(server: ServerAuthenticator, client: ClientAuthenticator) -> None:
    """Carry bytes between the two until both are done."""
    questions = [server.start()]
    while questions:
        wire = serialize(questions.pop(0))
        question = parse_backend(wire[0], wire[5:])
        assert isinstance(question, m.AuthenticationMessage)
        if (reply := client.receive(question)) is not None:
            wire = serialize(reply)
            assert server.auth_reply is not None
            questions += server.receive(parse_frontend(wire[0], wire[5:], auth_reply=server.auth_reply))
    assert server.is_done
    assert client.is_done
    assert server.auth_reply is None


@pytest.mark.parametrize(
    ("stored", "method", "secret"),
    [
        (None, AuthMethod.TRUST, None),
        (PLAIN, AuthMethod.PASSWORD, PLAIN),
        (MD5, AuthMethod.PASSWORD, PLAIN),
        (VERIFIER, AuthMethod.PASSWORD, PLAIN),
        (PLAIN, AuthMethod.MD5, PLAIN),
        (MD5, AuthMethod.MD5, PLAIN),
        (MD5, AuthMethod.MD5, MD5),
        (PLAIN, AuthMethod.SCRAM_SHA_256, PLAIN),
        (VERIFIER, AuthMethod.SCRAM_SHA_256, PLAIN),
        (VERIFIER, AuthMethod.SCRAM_SHA_256, KEYS),
    ],
)
def test_every_method_lets_in(stored: Secret | None, method: AuthMethod, secret: Any) -> None:
    server, client = server_of(stored, method), client_of(secret)
    log_in(server, client)
    assert client.method is method
    assert server.password == (b"pencil" if method is AuthMethod.PASSWORD else None)
    assert (server.scram_keys is not None) == (method is AuthMethod.SCRAM_SHA_256)


def test_scram_with_channel_binding() -> None:
    server = server_of(VERIFIER, AuthMethod.SCRAM_SHA_256, binding=b"hash")
    log_in(server, client_of(binding=b"hash", binding_policy=BindingPolicy.REQUIRE))
    assert server.scram_keys == KEYS


def test_verifier_pass_through() -> None:
    first = server_of(VERIFIER, AuthMethod.SCRAM_SHA_256)
    log_in(first, client_of())
    log_in(server_of(VERIFIER, AuthMethod.SCRAM_SHA_256), client_of(first.scram_keys))


@pytest.mark.parametrize(
    ("stored", "method"),
    [
        (PlainPassword(b"other"), AuthMethod.PASSWORD),
        (None, AuthMethod.PASSWORD),
        (md5_hash(b"u", b"other"), AuthMethod.MD5),
        (VERIFIER, AuthMethod.MD5),
        (None, AuthMethod.MD5),
        (make_verifier(b"other", salt=b"s", iterations=2), AuthMethod.SCRAM_SHA_256),
        (None, AuthMethod.SCRAM_SHA_256),
        (MD5, AuthMethod.SCRAM_SHA_256),
    ],
)
def test_wrong_passwords_and_strangers_fail_alike(stored: Secret | None, method: AuthMethod) -> None:
    server = server_of(stored, method)
    with pytest.raises(AuthenticationFailed, match="password authentication failed") as caught:
        log_in(server, client_of())
    assert caught.value.sqlstate == "28P01"
    assert not server.is_done
    assert server.scram_keys is None
    assert server.password is None


def test_empty_password_is_refused() -> None:
    server = server_of(PlainPassword(b""), AuthMethod.PASSWORD)
    server.start()
    with pytest.raises(AuthenticationFailed, match="empty password"):
        server.receive(m.PasswordMessage(b""))


@pytest.mark.parametrize("message", [m.SASLResponse(b""), m.PasswordMessage(b"x"), m.GSSResponse(b""), m.Sync()])
def test_server_takes_only_what_it_asked_for(message: Any) -> None:
    server = server_of(VERIFIER, AuthMethod.SCRAM_SHA_256)
    server.start()
    with pytest.raises(ProtocolViolation, match="expected password response"):
        server.receive(message)
    with pytest.raises(ProtocolViolation, match="expected password response"):
        server.receive(m.SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=a"))


def test_server_says_how_a_p_is_to_be_read() -> None:
    server = server_of(VERIFIER, AuthMethod.SCRAM_SHA_256)
    replies = [server.auth_reply]
    server.start()
    replies.append(server.auth_reply)
    server.receive(m.SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=a"))
    replies.append(server.auth_reply)
    assert replies == [None, AuthReply.SASLInitialResponse, AuthReply.SASLResponse]


@pytest.mark.parametrize(
    ("question", "secret", "reason"),
    [
        (m.AuthenticationCleartextPassword(), KEYS, "not a password"),
        (m.AuthenticationCleartextPassword(), None, "not a password"),
        (m.AuthenticationMD5Password(b"1234"), KEYS, "not a password"),
        (m.AuthenticationSASL((b"SCRAM-SHA-256",)), MD5, "SCRAM keys"),
        (m.AuthenticationSASL((b"OTHER",)), PLAIN, "mechanisms"),
        (m.AuthenticationGSS(), PLAIN, "GSS"),
        (m.AuthenticationSSPI(), PLAIN, "SSPI"),
        (m.AuthenticationKerberosV5(), PLAIN, "Kerberos"),
    ],
)
def test_client_cannot_answer_everything(question: m.AuthenticationMessage, secret: Any, reason: str) -> None:
    with pytest.raises(AuthenticationFailed, match=reason):
        client_of(secret).receive(question)


@pytest.mark.parametrize("question", [m.AuthenticationCleartextPassword(), m.AuthenticationMD5Password(b"1234")])
def test_client_gives_nothing_weaker_than_allowed(question: m.AuthenticationMessage) -> None:
    client = client_of(methods=frozenset({AuthMethod.SCRAM_SHA_256}))
    with pytest.raises(AuthenticationFailed, match="allowed are \\['scram-sha-256'\\]") as caught:
        client.receive(question)
    assert caught.value.sqlstate == "28000"


def test_client_does_not_trust_a_server_that_does_not_ask() -> None:
    with pytest.raises(AuthenticationFailed, match="'none'"):
        client_of(methods=frozenset({AuthMethod.MD5})).receive(m.AuthenticationOk())
    with pytest.raises(AuthenticationFailed, match="channel binding is required"):
        client_of(binding=b"h", binding_policy=BindingPolicy.REQUIRE).receive(m.AuthenticationOk())


def test_client_does_not_let_a_server_skip_its_proof() -> None:
    client = client_of()
    client.receive(m.AuthenticationSASL((b"SCRAM-SHA-256",)))
    with pytest.raises(ProtocolViolation, match="AuthenticationOk out of order"):
        client.receive(m.AuthenticationOk())


@pytest.mark.parametrize(
    "before",
    [[], [m.AuthenticationMD5Password(b"1234")], [m.AuthenticationMD5Password(b"1234"), m.AuthenticationOk()]],
)
@pytest.mark.parametrize(
    "message", [m.AuthenticationSASLContinue(b""), m.AuthenticationSASLFinal(b""), m.AuthenticationGSSContinue(b"")]
)
def test_questions_in_order(before: list[m.AuthenticationMessage], message: Any) -> None:
    client = client_of()
    for question in before:
        client.receive(question)
    with pytest.raises((ProtocolViolation, AuthenticationFailed)):
        client.receive(message)


def test_only_one_method_is_asked_for() -> None:
    client = client_of()
    client.receive(m.AuthenticationMD5Password(b"1234"))
    with pytest.raises(ProtocolViolation, match="out of order"):
        client.receive(m.AuthenticationCleartextPassword())


def test_keys_can_be_remembered() -> None:
    asked = []

    def remember(password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        asked.append((password, salt, iterations))
        return KEYS

    client = ClientAuthenticator(Credentials(b"u", PLAIN), nonce=b"n", derive=remember)
    log_in(server_of(VERIFIER, AuthMethod.SCRAM_SHA_256), client)
    assert asked == [(b"pencil", b"salt", 5)]


def test_secrets_as_they_are_stored() -> None:
    assert parse_secret(str(VERIFIER)) == VERIFIER
    assert parse_secret(MD5.value.decode()) == MD5
    assert parse_secret("pencil") == PLAIN
    assert parse_secret("md5xyz") == PlainPassword(b"md5xyz")
    assert default_method(MD5) is AuthMethod.MD5
    assert default_method(VERIFIER) is default_method(PLAIN) is default_method(None) is AuthMethod.SCRAM_SHA_256
    assert "pencil" not in repr(PLAIN) + repr(Credentials(b"u", PLAIN))


def test_md5_is_that_of_postgres() -> None:
    inner = hashlib.md5(b"pencilu").hexdigest()
    assert Md5Hash(b"md5" + inner.encode()) == MD5
    assert md5_answer(MD5, b"salt") == b"md5" + hashlib.md5(inner.encode() + b"salt").hexdigest().encode()
    assert not has_password(MD5, b"u", b"other")
    assert not has_password(None, b"u", b"")
