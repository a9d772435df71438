"""Clients log in at a pool: encryption, methods, versions, limits."""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import TYPE_CHECKING

import pytest

from longshore.pool.clients.authentication import Authentication, ClientMethod
from longshore.pool.clients.limits import ClientLimits
from longshore.pool.clients.tls import ClientTlsMode
from longshore.pool.model import Database
from longshore.pool.servers.key_cache import KeyCache
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import PlainPassword, md5_hash
from longshore.proto.postgres.constants import PROTOCOL_3_2
from longshore.proto.postgres.scram import make_verifier
from longshore.proto.postgres.serialize import serialize, serialize_startup
from tests.pool.login.doors import Knock, Refused, a_target, client_context, door_on, pool_tls

if TYPE_CHECKING:
    import trustme

    from longshore.proto.postgres.auth import Secret
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

PASSWORD = "open sesame"
SECRETS: dict[str, Secret] = {
    "plain": PlainPassword(PASSWORD.encode()),
    "scram": make_verifier(PASSWORD.encode(), salt=b"salt of the tests"),
    "md5": md5_hash(b"md5", PASSWORD.encode()),
}


def _users(method: ClientMethod = ClientMethod.AUTO, **values: object) -> Authentication:
    return Authentication(users=SECRETS, method=method, **values)  # type: ignore[arg-type]


async def _refusal(port: int, user: str, secret: str | None = PASSWORD, tls: ssl.SSLContext | None = None) -> Refused:
    async with Knock(port) as knock:
        if tls is not None:
            await knock.start_tls(tls)
        with pytest.raises(Refused) as caught:
            await knock.log_in(user, secret)
        assert await knock.rest() == b""
        return caught.value


# -- methods ---------------------------------------------------------------------------------------

METHODS = {
    (ClientMethod.AUTO, "plain"): m.AuthenticationSASL,
    (ClientMethod.AUTO, "scram"): m.AuthenticationSASL,
    (ClientMethod.AUTO, "md5"): m.AuthenticationMD5Password,
    (ClientMethod.SCRAM_SHA_256, "plain"): m.AuthenticationSASL,
    (ClientMethod.MD5, "plain"): m.AuthenticationMD5Password,
    (ClientMethod.PASSWORD, "plain"): m.AuthenticationCleartextPassword,
    (ClientMethod.PASSWORD, "scram"): m.AuthenticationCleartextPassword,
    (ClientMethod.PASSWORD, "md5"): m.AuthenticationCleartextPassword,
}


@pytest.mark.parametrize(("method", "user"), METHODS)
async def test_a_right_and_a_wrong_password(login_server: Server, method: ClientMethod, user: str) -> None:
    rules = _users(method, allows_plain_password=True)
    async with door_on(a_target(login_server.port), authentication=rules) as rig:
        for _ in range(2):  # the second time keys are known
            async with Knock(rig.port) as knock:
                await knock.log_in(user, PASSWORD)
                assert knock.asked[0] is METHODS[method, user]
                assert await knock.value("SELECT current_user") == "postgres"
        for wrong in ("wrong", PASSWORD + "x"):
            refused = await _refusal(rig.port, user, wrong)
            assert refused.error.sqlstate == "28P01"
            assert refused.error.message == f'password authentication failed for user "{user}"'
    assert [each.error.sqlstate for each in rig.refused] == ["28P01", "28P01"]
    assert rig.pools.refusals["28P01"] == 2


@pytest.mark.parametrize("method", [ClientMethod.SCRAM_SHA_256, ClientMethod.MD5, ClientMethod.PASSWORD])
async def test_who_does_not_exist_is_treated_like_one_with_a_wrong_password(
    login_server: Server, method: ClientMethod
) -> None:
    rules = _users(method, allows_plain_password=True)
    async with (
        door_on(a_target(login_server.port), authentication=rules) as rig,
        Knock(rig.port) as stranger,
        Knock(rig.port) as known,
    ):
        for knock, name in ((stranger, "nobody"), (known, "plain")):
            with pytest.raises(Refused, match=f'28P01: password authentication failed for user "{name}"'):
                await knock.log_in(name, "wrong")
        assert stranger.asked == known.asked


async def test_the_salt_of_who_does_not_exist_does_not_change(login_server: Server) -> None:
    salts: set[bytes] = set()
    async with door_on(a_target(login_server.port), authentication=_users()) as rig:
        for _ in range(3):
            async with Knock(rig.port) as knock:
                knock.send(_startup(user="nobody"))
                assert isinstance(await knock.message(), m.AuthenticationSASL)
                knock.send(serialize(m.SASLInitialResponse(b"SCRAM-SHA-256", b"n,,n=,r=mine")))
                first = await knock.message()
                assert isinstance(first, m.AuthenticationSASLContinue)
                salts.add(first.data.split(b",")[1])
    assert len(salts) == 1


def _startup(version: int = 196608, **parameters: str) -> bytes:
    pairs = tuple((name.encode(), value.encode()) for name, value in {"database": "postgres", **parameters}.items())
    return serialize_startup(m.StartupMessage(pairs, version))


async def test_a_password_in_clear_text_needs_tls(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(
        a_target(login_server.port), authentication=_users(ClientMethod.PASSWORD), tls=pool_tls(ca)
    ) as rig:
        refused = await _refusal(rig.port, "plain")
        assert refused.error.sqlstate == "28000"
        assert refused.error.hint == "set sslmode=require"
        async with Knock(rig.port) as knock:
            await knock.start_tls(client_context(ca))
            await knock.log_in("plain", PASSWORD)


async def test_trust_is_for_clients_of_this_machine(login_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door_on(a_target(login_server.port)) as rig:
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody")
            assert knock.asked == [m.AuthenticationOk]
        monkeypatch.setattr("longshore.pool.clients.peer._is_local", lambda _: False)
        refused = await _refusal(rig.port, "anybody", None)
        assert refused.error.sqlstate == "28000"
        assert "users file" in str(refused.error.hint)


async def test_who_may_use_a_database(login_server: Server) -> None:
    rules = Authentication(users=SECRETS, database_users={"postgres": frozenset({"scram"})})
    async with door_on(a_target(login_server.port), authentication=rules) as rig:
        async with Knock(rig.port) as knock:
            await knock.log_in("scram", PASSWORD)
        refused = await _refusal(rig.port, "md5")
        assert refused.error.sqlstate == "42501"
        # Who has not proved who he is learns nothing of it.
        assert (await _refusal(rig.port, "md5", "wrong")).error.sqlstate == "28P01"


# -- TLS -------------------------------------------------------------------------------------------


async def test_scram_bound_to_tls(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), authentication=_users(), tls=pool_tls(ca)) as rig:
        for is_direct in (False, True):
            async with Knock(rig.port) as knock:
                await knock.start_tls(client_context(ca), is_direct=is_direct)
                knock.send(_startup(user="scram"))
                offered = await knock.message()
                assert isinstance(offered, m.AuthenticationSASL)
                assert offered.mechanisms == (b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256")
            async with Knock(rig.port) as knock:
                await knock.start_tls(client_context(ca), is_direct=is_direct)
                await knock.log_in("scram", PASSWORD)
                assert await knock.value("SELECT 1") == "1"


async def test_who_is_lied_to_about_channel_binding_notices(login_server: Server, ca: trustme.CA) -> None:
    async with (
        door_on(a_target(login_server.port), authentication=_users(), tls=pool_tls(ca)) as rig,
        Knock(rig.port) as knock,
    ):
        await knock.start_tls(client_context(ca))
        knock.send(_startup(user="scram"))
        await knock.message()
        knock.send(serialize(m.SASLInitialResponse(b"SCRAM-SHA-256", b"y,,n=,r=mine")))
        error = await knock.message()
        assert isinstance(error, m.ErrorResponse)
        assert error.sqlstate == "28000"


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_direct_tls_needs_alpn(login_server: Server, ca: trustme.CA, alpn: tuple[str, ...]) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca)) as rig, Knock(rig.port) as knock:
        await knock.start_tls(client_context(ca, alpn=alpn), is_direct=True)
        with pytest.raises((ConnectionError, EOFError)):
            await knock.log_in("anybody")
    assert "ALPN" in rig.refused[0].error.message


async def test_require_tls(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca, ClientTlsMode.REQUIRE)) as rig:
        refused = await _refusal(rig.port, "anybody", None)
        assert (refused.error.sqlstate, refused.error.hint) == ("28000", "set sslmode=require")
        async with Knock(rig.port) as knock:
            await knock.start_tls(client_context(ca))
            await knock.log_in("anybody")


async def test_bytes_behind_sslrequest_are_refused(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca)) as rig, Knock(rig.port) as knock:
        knock.send(serialize_startup(m.SSLRequest()) + _startup(user="injected"))
        said = await knock.rest()
        assert b"unencrypted data after SSL request" in said
        assert not said.startswith(b"S")


async def test_encryption_that_is_not_offered(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig:
        async with Knock(rig.port) as knock:
            knock.send(serialize_startup(m.GSSENCRequest()))
            assert await knock.reader.readexactly(1) == b"N"
            knock.send(serialize_startup(m.SSLRequest()))
            assert await knock.reader.readexactly(1) == b"N"
            await knock.log_in("anybody")
        async with Knock(rig.port) as knock:
            knock.send(b"\x16\x03\x01\x00\x05hello")
            assert b"does not offer TLS" in await knock.rest()


async def test_a_handshake_that_fails(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca)) as rig, Knock(rig.port) as knock:
        knock.send(b"\x16\x03\x01\x00\x05hello")
        assert (await knock.rest())[:1] == b"\x15"  # an alert
    assert "TLS handshake failed" in rig.refused[0].error.message


async def test_certificates_of_clients(login_server: Server, ca: trustme.CA, other_ca: trustme.CA) -> None:
    rules = _users(ClientMethod.CERT)
    tls = pool_tls(ca, ClientTlsMode.VERIFY_CA, client_ca=ca)
    async with door_on(a_target(login_server.port), authentication=rules, tls=tls) as rig:
        context = client_context(ca)
        ca.issue_cert("x@longshore.example", common_name="scram").configure_cert(context)
        async with Knock(rig.port) as knock:
            await knock.start_tls(context)
            await knock.log_in("scram")
        refused = await _refusal(rig.port, "plain", None, context)
        assert "the certificate of somebody else" in refused.error.message
        for authority in (None, other_ca):
            context = client_context(ca)
            if authority is not None:
                authority.issue_cert("x@longshore.example", common_name="scram").configure_cert(context)
            async with Knock(rig.port) as knock:
                with pytest.raises((ConnectionError, EOFError, ssl.SSLError)):
                    await _encrypted_login(knock, context)


async def _encrypted_login(knock: Knock, context: ssl.SSLContext) -> None:
    await knock.start_tls(context)
    await knock.log_in("scram")


async def test_a_certificate_is_no_must_where_passwords_are_asked_for(login_server: Server, ca: trustme.CA) -> None:
    tls = pool_tls(ca, client_ca=ca)
    async with door_on(a_target(login_server.port), authentication=_users(), tls=tls) as rig, Knock(rig.port) as knock:
        await knock.start_tls(client_context(ca))
        await knock.log_in("scram", PASSWORD)


async def test_much_data_over_tls(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca)) as rig, Knock(rig.port) as knock:
        await knock.start_tls(client_context(ca))
        await knock.log_in("anybody")
        assert await knock.value("SELECT length(repeat('x', 3000000))") == "3000000"
        text = "y" * 500_000
        assert await knock.value(f"SELECT '{text}'") == text
        assert len(str(await knock.value("SELECT repeat('x', 5000000)"))) == 5_000_000


# -- versions --------------------------------------------------------------------------------------


async def test_versions_and_options(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig:
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody", version=PROTOCOL_3_2)
            assert knock.negotiated is None
            assert len(knock.key.secret_key) == 32
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody", version=(3 << 16) | 9999, **{"_pq_.test_protocol_negotiation": ""})
            assert knock.negotiated == m.NegotiateProtocolVersion(PROTOCOL_3_2, (b"_pq_.test_protocol_negotiation",))
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody")
            assert len(knock.key.secret_key) == 4


async def test_other_major_versions_and_replication(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig:
        async with Knock(rig.port) as knock:
            with pytest.raises(Refused, match="0A000"):
                await knock.log_in("anybody", version=2 << 16)
        async with Knock(rig.port) as knock:
            with pytest.raises(Refused, match="connect to the database directly"):
                await knock.log_in("anybody", replication="true")


async def test_settings_are_tried(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig:
        for _ in range(2):
            async with Knock(rig.port) as knock:
                await knock.log_in("anybody", options="-c work_mem=7MB")
                assert await knock.value("SHOW work_mem") == "7MB"
            async with Knock(rig.port) as knock:
                with pytest.raises(Refused, match="22023"):
                    await knock.log_in("anybody", TimeZone="Nowhere/At all")
        async with Knock(rig.port) as knock:
            with pytest.raises(Refused, match="42601"):
                await knock.log_in("anybody", options="--")


async def test_names_that_are_no_text(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as knock:
        body = b"user\0\xff\xfe\0database\0postgres\0\0"
        knock.send(struct.pack("!ii", 8 + len(body), 196608) + body)
        assert b"must be UTF-8" in await knock.rest()


# -- limits ----------------------------------------------------------------------------------------


async def test_too_many_clients(login_server: Server) -> None:
    limits = ClientLimits(clients=2)
    async with door_on(a_target(login_server.port), limits=limits) as rig:
        async with Knock(rig.port) as one, Knock(rig.port) as two:
            await one.log_in("anybody")
            await two.log_in("anybody")
            refused = await _refusal(rig.port, "anybody", None)
            assert refused.error.sqlstate == "53300"
            # A cancel is no client.
            async with Knock(rig.port) as third:
                third.send(serialize_startup(m.CancelRequest(one.key.process_id, one.key.secret_key)))
                assert await third.rest() == b""
        await _nobody(rig.pools.clients)
        async with Knock(rig.port) as knock:
            await knock.log_in("anybody")


@pytest.mark.parametrize("limits", [ClientLimits(per_user=1), ClientLimits(per_database=1)])
async def test_too_many_of_one(login_server: Server, limits: ClientLimits) -> None:
    databases = [Database(name=name, target=a_target(login_server.port)) for name in ("one", "two")]
    async with door_on(databases, limits=limits) as rig, Knock(rig.port) as first, Knock(rig.port) as second:
        await first.log_in("alice", database="one")
        async with Knock(rig.port) as knock:
            with pytest.raises(Refused, match="53300"):
                await knock.log_in("alice", database="one")
        await second.log_in("bob", database="two")


async def test_too_many_who_have_not_logged_in(login_server: Server) -> None:
    async with (
        door_on(a_target(login_server.port), limits=ClientLimits(starting=2)) as rig,
        Knock(rig.port) as one,
        Knock(rig.port) as two,
        Knock(rig.port) as three,
    ):
        with pytest.raises((EOFError, ConnectionError)):
            await three.log_in("anybody")
        await one.log_in("anybody")
        await two.log_in("anybody")
        async with Knock(rig.port) as four:
            await four.log_in("anybody")


async def _nobody(those: object) -> None:
    async with asyncio.timeout(20):
        while those:
            await asyncio.sleep(0)


@pytest.mark.parametrize("said", [b"", b"\x00", _startup(user="scram")[:-1], _startup(user="scram")], ids=len)
async def test_who_says_too_little_is_cut_off(login_server: Server, said: bytes) -> None:
    async with door_on(a_target(login_server.port), authentication=_users(), login_timeout_s=0.2) as rig:
        async with Knock(rig.port) as knock:
            knock.send(said)
            assert b"took longer than 0.2 s" in await knock.rest()
        await _nobody(rig.pools.starting)


async def test_who_stops_in_the_middle_of_a_handshake_is_cut_off(login_server: Server, ca: trustme.CA) -> None:
    async with door_on(a_target(login_server.port), tls=pool_tls(ca), login_timeout_s=0.2) as rig:
        async with Knock(rig.port) as knock:
            knock.send(serialize_startup(m.SSLRequest()))
            assert await knock.reader.readexactly(1) == b"S"
            knock.send(b"\x16\x03\x01\x02\x00\x01")
            await knock.rest()
        await _nobody(rig.pools.starting)


async def test_lengths_that_cannot_be(login_server: Server) -> None:
    async with door_on(a_target(login_server.port), authentication=_users()) as rig:
        for length in (0, 7, 10_001 + 8, 1 << 30, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            async with Knock(rig.port) as knock:
                knock.send(struct.pack("!I", length) + bytes(100))
                assert b"invalid length of startup packet" in await knock.rest()
        for length in (0, 3, 1 << 20, 0xFFFFFFFF):
            async with Knock(rig.port) as knock:
                knock.send(_startup(user="scram"))
                assert isinstance(await knock.message(), m.AuthenticationSASL)
                knock.send(b"p" + struct.pack("!I", length) + bytes(100))
                error = await knock.message()
                assert isinstance(error, m.ErrorResponse)
                assert error.sqlstate == "08P01"


async def test_queries_before_the_password_are_refused(login_server: Server) -> None:
    async with door_on(a_target(login_server.port), authentication=_users()) as rig, Knock(rig.port) as knock:
        knock.send(_startup(user="scram") + serialize(m.Query(b"SELECT 1")))
        assert isinstance(await knock.message(), m.AuthenticationSASL)
        error = await knock.message()
        assert isinstance(error, m.ErrorResponse)
        assert error.sqlstate == "08P01"


async def test_queries_right_behind_the_startup_message_are_answered(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as knock:
        many = b"".join(serialize(m.Query(b"SELECT %d /* %s */" % (number, b"x" * 1000))) for number in range(200))
        knock.send(_startup(user="anybody") + many)
        values: list[bytes | None] = []
        while len(values) < 200:
            message = await knock.message()
            assert not isinstance(message, m.ErrorResponse), message
            if isinstance(message, m.DataRow):
                values += message.values
        assert values == [b"%d" % number for number in range(200)]


async def test_a_cancel_with_a_guessed_key_hits_nobody(login_server: Server) -> None:
    async with door_on(a_target(login_server.port)) as rig, Knock(rig.port) as knock:
        await knock.log_in("anybody")
        answer = asyncio.ensure_future(knock.value("SELECT 'untouched' FROM pg_sleep(0.3)"))
        for key in (b"1234", bytes(4), knock.key.secret_key[::-1], knock.key.secret_key + b"x"):
            for pid in (knock.key.process_id, knock.key.process_id + 1):
                async with Knock(rig.port) as guess:
                    guess.send(serialize_startup(m.CancelRequest(pid, key)))
                    assert await guess.rest() == b""
        assert await answer == "untouched"
        assert all(pool.statistics.cancels == 0 for pool in rig.pools.pools())


def test_a_reload_changes_no_salt() -> None:
    """Or a stranger could tell by it who exists."""
    keys = KeyCache()
    one, two = (Authentication(users={}, keys=keys) for _ in range(2))
    assert one.salt_of(b"nobody") == two.salt_of(b"nobody")
    assert one.salt_of(b"nobody") != one.salt_of(b"somebody")
