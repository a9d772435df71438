"""SCRAM against the vectors of RFC 7677 §3, and its two halves against each other."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256_PLUS
from longshore.proto.postgres.scram import (
    MAX_ITERATIONS,
    ScramKeys,
    ScramVerifier,
    check_nonce,
    derive_keys,
    make_verifier,
    mock_verifier,
    parse_verifier,
    xor,
)
from longshore.proto.postgres.scram_client import BindingPolicy, ScramClient, choose_binding
from longshore.proto.postgres.scram_server import ScramServer
from longshore.proto.postgres.violation import AuthenticationFailed, ProtocolViolation

SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

KEYS = derive_keys(b"pencil", SALT, 4096)
PLUS_HEADER = b"p=tls-server-end-point,,"


def rfc_client() -> ScramClient:
    return ScramClient(SASL_SCRAM_SHA_256, b"n,,", nonce=CLIENT_NONCE, user=b"user")


def rfc_server(**options: Any) -> ScramServer:
    return ScramServer(KEYS.verifier, nonce=SERVER_NONCE, **options)


def test_client_says_what_the_rfc_says() -> None:
    client = rfc_client()
    assert client.initial() == m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST)
    challenge = client.receive_first(CHALLENGE)
    assert (challenge.salt, challenge.iterations) == (SALT, 4096)
    assert client.finish(KEYS) == m.SASLResponse(FINAL)
    assert not client.is_done
    client.receive_final(SIGNATURE)
    assert client.is_done


def test_server_says_what_the_rfc_says() -> None:
    server = rfc_server()
    assert server.mechanisms == (SASL_SCRAM_SHA_256,)
    first = server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST))
    assert first == m.AuthenticationSASLContinue(CHALLENGE)
    assert server.keys is None
    assert server.receive_final(m.SASLResponse(FINAL)) == m.AuthenticationSASLFinal(SIGNATURE)


def test_server_learns_keys_that_log_in_elsewhere() -> None:
    server = rfc_server()
    server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST))
    server.receive_final(m.SASLResponse(FINAL))
    assert server.keys == KEYS
    log_in(ScramServer(KEYS.verifier, nonce=b"other"), keys=server.keys)


def log_in(
    server: ScramServer,
    *,
    keys: ScramKeys = KEYS,
    header: bytes = b"n,,",
    mechanism: bytes = SASL_SCRAM_SHA_256,
    binding: bytes | None = None,
) -> None:
    client = ScramClient(mechanism, header, nonce=b"abc", binding=binding)
    client.receive_first(server.receive_initial(client.initial()).data)
    client.receive_final(server.receive_final(client.finish(keys)).data)
    assert client.is_done


def test_channel_binding() -> None:
    log_in(rfc_server(binding=b"hash"), header=PLUS_HEADER, mechanism=SASL_SCRAM_SHA_256_PLUS, binding=b"hash")
    log_in(rfc_server(binding=b"hash"))
    log_in(rfc_server(), header=b"y,,")


def test_binding_of_another_connection_is_refused() -> None:
    with pytest.raises(AuthenticationFailed, match="channel binding") as caught:
        log_in(rfc_server(binding=b"hash"), header=PLUS_HEADER, mechanism=SASL_SCRAM_SHA_256_PLUS, binding=b"else")
    assert caught.value.sqlstate == "28000"


def test_an_offer_that_somebody_took_away_is_noticed() -> None:
    with pytest.raises(AuthenticationFailed, match="thinks the server does not"):
        log_in(rfc_server(binding=b"hash"), header=b"y,,")


@given(password=st.binary(min_size=1, max_size=20), other=st.binary(min_size=1, max_size=20))
def test_only_the_right_password_logs_in(password: bytes, other: bytes) -> None:
    verifier = make_verifier(password, salt=b"salt", iterations=2)
    keys = derive_keys(other, b"salt", 2)
    if keys.stored_key == verifier.stored_key:
        log_in(ScramServer(verifier, nonce=b"n"), keys=keys)
    else:
        with pytest.raises(AuthenticationFailed, match="password authentication failed") as caught:
            log_in(ScramServer(verifier, nonce=b"n"), keys=keys)
        assert caught.value.sqlstate == "28P01"


def test_a_doomed_login_fails_at_the_end() -> None:
    with pytest.raises(AuthenticationFailed, match="password authentication failed"):
        log_in(rfc_server(is_doomed=True))


def test_a_server_that_does_not_know_the_password_is_noticed() -> None:
    lying = ScramVerifier(SALT, 4096, KEYS.stored_key, b"x" * 32)
    with pytest.raises(AuthenticationFailed, match="server does not know"):
        log_in(ScramServer(lying, nonce=b"n"))


def test_keys_for_another_salt_are_refused() -> None:
    with pytest.raises(AuthenticationFailed, match="another salt"):
        log_in(rfc_server(), keys=derive_keys(b"pencil", b"salt", 4096))


def test_verifier_has_postgres_spelling() -> None:
    text = str(KEYS.verifier)
    assert text == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert parse_verifier(text) == KEYS.verifier
    assert "WG5d" not in repr(KEYS.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "md5" + "0" * 32,
        "SCRAM-SHA-256$4096:c2FsdA==",
        "SCRAM-SHA-1$4096:c2FsdA==$" + "A" * 43 + "=:" + "A" * 43 + "=",
        "SCRAM-SHA-256$x:c2FsdA==$" + "A" * 43 + "=:" + "A" * 43 + "=",
        "SCRAM-SHA-256$0:c2FsdA==$" + "A" * 43 + "=:" + "A" * 43 + "=",
        "SCRAM-SHA-256$1:$" + "A" * 43 + "=:" + "A" * 43 + "=",
        "SCRAM-SHA-256$1:c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-256$1:!$!:!",
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    assert parse_verifier(text) is None


def test_mock_verifier_is_stable_and_unlike_another_users() -> None:
    mock = mock_verifier(b"nobody", b"secret")
    assert mock == mock_verifier(b"nobody", b"secret")
    assert mock.salt != mock_verifier(b"somebody", b"secret").salt
    assert mock.salt != mock_verifier(b"nobody", b"other").salt
    assert len(mock.salt) == 16
    assert parse_verifier(str(mock)) == mock


@pytest.mark.parametrize("nonce", [b"", b"a,b", b"a b", b"\xff", b"a\0"])
def test_nonce_is_printable(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="nonce"):
        check_nonce(nonce)
    with pytest.raises(ValueError, match="nonce"):
        ScramClient(SASL_SCRAM_SHA_256, b"n,,", nonce=nonce)


@pytest.mark.parametrize(
    ("mechanism", "data", "reason"),
    [
        (b"SCRAM-SHA-1", FIRST, "invalid SASL"),
        (SASL_SCRAM_SHA_256_PLUS, FIRST, "invalid SASL"),
        (SASL_SCRAM_SHA_256, None, "no initial response"),
        (SASL_SCRAM_SHA_256, b"", "client-first"),
        (SASL_SCRAM_SHA_256, b"n,", "client-first"),
        (SASL_SCRAM_SHA_256, b"x,,n=,r=a", "flag"),
        (SASL_SCRAM_SHA_256, PLUS_HEADER + b"n=,r=a", "flag"),
        (SASL_SCRAM_SHA_256, b"n,a=me,n=,r=a", "authorization identity"),
        (SASL_SCRAM_SHA_256, b"n,,m=x,n=,r=a", "extension"),
        (SASL_SCRAM_SHA_256, b"n,,n=", "without nonce"),
        (SASL_SCRAM_SHA_256, b"n,,r=a,n=", "attribute b'n'"),
        (SASL_SCRAM_SHA_256, b"n,,n=,x=a", "attribute b'r'"),
        (SASL_SCRAM_SHA_256, b"n,,n=,r=", "non-printable"),
        (SASL_SCRAM_SHA_256, b"n,,n=,r=\xff", "non-printable"),
    ],
)
def test_malformed_client_first(mechanism: bytes, data: bytes | None, reason: str) -> None:
    with pytest.raises(ProtocolViolation, match=reason):
        rfc_server().receive_initial(m.SASLInitialResponse(mechanism, data))


def test_plus_needs_its_flag() -> None:
    with pytest.raises(ProtocolViolation, match="tls-server-end-point"):
        rfc_server(binding=b"h").receive_initial(
            m.SASLInitialResponse(SASL_SCRAM_SHA_256_PLUS, b"p=tls-unique,,n=,r=a")
        )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "without proof"),
        (b"c=biws,p=AAAA", "without proof|attribute|out of order"),
        (b"c=biws,r=x", "without proof"),
        (FINAL.replace(b"c=biws", b"c=!"), "base64"),
        (FINAL.replace(b"r=r", b"r=x"), "nonce does not match"),
        (FINAL.replace(b"c=", b"d="), "attribute"),
        (FINAL[:-4], "base64|proof of"),
        (FINAL.rpartition(b"p=")[0] + b"p=AAAA", "proof of 3 bytes"),
    ],
)
def test_malformed_client_final(data: bytes, reason: str) -> None:
    server = rfc_server()
    server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST))
    with pytest.raises(ProtocolViolation, match=reason):
        server.receive_final(m.SASLResponse(data))


def test_server_messages_in_order() -> None:
    with pytest.raises(ProtocolViolation, match="out of order"):
        rfc_server().receive_final(m.SASLResponse(FINAL))
    server = rfc_server()
    server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST))
    with pytest.raises(ProtocolViolation, match="twice"):
        server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, FIRST))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "server-first"),
        (b"r=x,s=AAAA,i=1", "does not begin with ours"),
        (b"r=" + CLIENT_NONCE + b",s=AAAA,i=1", "does not begin with ours"),
        (b"m=x,r=" + CLIENT_NONCE + b"1,s=AAAA,i=1", "attribute"),
        (b"r=" + CLIENT_NONCE + b"1,s=!,i=1", "base64"),
        (b"r=" + CLIENT_NONCE + b"1,s=AAAA,i=0", "iteration count"),
        (b"r=" + CLIENT_NONCE + b"1,s=AAAA,i=-1", "iteration count"),
        (b"r=" + CLIENT_NONCE + b"1,s=AAAA,i=2000000", "iteration count"),
        (b"r=" + CLIENT_NONCE + b"1,s=AAAA,i=" + b"9" * 5000, "iteration count"),
    ],
)
def test_malformed_server_first(data: bytes, reason: str) -> None:
    client = rfc_client()
    client.initial()
    with pytest.raises(ProtocolViolation, match=reason):
        client.receive_first(data)


def test_client_messages_in_order() -> None:
    with pytest.raises(ProtocolViolation, match="out of order"):
        rfc_client().receive_first(CHALLENGE)
    with pytest.raises(ProtocolViolation, match="out of order"):
        rfc_client().finish(KEYS)
    with pytest.raises(ProtocolViolation, match="out of order"):
        rfc_client().receive_final(SIGNATURE)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"e=invalid-proof", AuthenticationFailed),
        (b"v=AAAA", AuthenticationFailed),
        (b"v=!", ProtocolViolation),
        (b"", ProtocolViolation),
    ],
)
def test_malformed_server_final(data: bytes, error: type[Exception]) -> None:
    client = rfc_client()
    client.initial()
    client.receive_first(CHALLENGE)
    client.finish(KEYS)
    with pytest.raises(error):
        client.receive_final(data)


BOTH = (SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_256)


@pytest.mark.parametrize(
    ("mechanisms", "binding", "policy", "result"),
    [
        (BOTH, b"h", BindingPolicy.PREFER, (SASL_SCRAM_SHA_256_PLUS, PLUS_HEADER)),
        (BOTH, b"h", BindingPolicy.REQUIRE, (SASL_SCRAM_SHA_256_PLUS, PLUS_HEADER)),
        (BOTH, b"h", BindingPolicy.DISABLE, (SASL_SCRAM_SHA_256, b"n,,")),
        (BOTH, None, BindingPolicy.PREFER, (SASL_SCRAM_SHA_256, b"n,,")),
        (BOTH[1:], b"h", BindingPolicy.PREFER, (SASL_SCRAM_SHA_256, b"y,,")),
        (BOTH[1:], b"h", BindingPolicy.REQUIRE, None),
        (BOTH, None, BindingPolicy.REQUIRE, None),
        ((b"OAUTHBEARER",), None, BindingPolicy.PREFER, None),
        ((), None, BindingPolicy.PREFER, None),
    ],
)
def test_choice_of_mechanism(
    mechanisms: tuple[bytes, ...], binding: bytes | None, policy: BindingPolicy, result: tuple[bytes, bytes] | None
) -> None:
    if result is None:
        with pytest.raises(AuthenticationFailed):
            choose_binding(mechanisms, binding, policy)
    else:
        assert choose_binding(mechanisms, binding, policy) == result


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nonsense_is_refused(first: bytes, second: bytes) -> None:
    for data in (first, b"n,,n=,r=" + first, b"n,,n=,r=a"):
        server = rfc_server()
        try:
            server.receive_initial(m.SASLInitialResponse(SASL_SCRAM_SHA_256, data))
            with pytest.raises((ProtocolViolation, AuthenticationFailed)):
                server.receive_final(m.SASLResponse(second))
        except ProtocolViolation:
            pass
    client = rfc_client()
    client.initial()
    with pytest.raises(ProtocolViolation):
        client.receive_first(first)


def test_user_name_is_escaped() -> None:
    client = ScramClient(SASL_SCRAM_SHA_256, b"n,,", nonce=b"a", user=b"a=b,c")
    assert client.initial().data == b"n,,n=a=3Db=2Cc,r=a"


def test_limit_of_iterations_is_an_argument() -> None:
    client = ScramClient(SASL_SCRAM_SHA_256, b"n,,", nonce=b"a", max_iterations=10)
    client.initial()
    with pytest.raises(ProtocolViolation, match="1 to 10"):
        client.receive_first(b"r=ab,s=%s,i=11" % b64encode(b"salt"))
    assert MAX_ITERATIONS == 1_000_000
    assert xor(b"\x0f", b"\xff") == b"\xf0"
