"""The pool logs in to a database, in every way that a real one asks for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.pool.servers import dialing, key_cache
from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.target import TlsMode, UpstreamTls
from longshore.proto.postgres import auth_client
from longshore.proto.postgres.auth import md5_hash
from longshore.proto.postgres.scram import derive_keys, parse_verifier
from tests.pool.login.upstream import ask, logged_in, target
from tests.postgres_logins import PASSWORD
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from longshore.pool.servers.target import Target
    from tests.server_process import Server

pytestmark = pytest.mark.needs("postgres")

DISABLE = UpstreamTls(mode=TlsMode.DISABLE)
REQUIRE = UpstreamTls(mode=TlsMode.REQUIRE)
IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def _failure(where: Target) -> LoginFailed:
    with pytest.raises(LoginFailed) as caught:
        async with logged_in(where):
            pass
    return caught.value


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user", "postgres"])
@pytest.mark.parametrize("tls", [DISABLE, UpstreamTls(), REQUIRE], ids=["disable", "prefer", "require"])
async def test_every_method_with_and_without_tls(login_server: Server, user: str, tls: UpstreamTls) -> None:
    async with logged_in(target(login_server.port, user, tls=tls)) as server:
        assert await ask(server, "SELECT current_user") == user
        assert await ask(server, IS_ENCRYPTED) == ("f" if tls is DISABLE else "t")


async def test_over_a_unix_socket(login_server: Server) -> None:
    where = target(login_server.port, "scram_user", host=str(login_server.directory))
    async with logged_in(where) as server:
        assert await ask(server, "SELECT inet_client_addr()") is None


async def test_scram_is_bound_to_the_tls_connection(login_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[bytes] = []
    choose = auth_client.choose_binding  # type: ignore[attr-defined]  # it is there, though not for others

    def choose_and_tell(*arguments: object) -> tuple[bytes, bytes]:
        mechanism, header = choose(*arguments)  # type: ignore[arg-type]
        chosen.append(mechanism)
        return mechanism, header

    monkeypatch.setattr(auth_client, "choose_binding", choose_and_tell)
    async with logged_in(target(login_server.port, "tls_user", tls=REQUIRE)):
        assert chosen == [b"SCRAM-SHA-256-PLUS"]


async def test_keys_of_a_verifier_log_in(login_server: Server) -> None:
    async with logged_in(target(login_server.port, "postgres", None)) as admin:
        stored = await ask(admin, "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")
    verifier = parse_verifier(str(stored))
    assert verifier is not None
    keys = derive_keys(PASSWORD.encode(), verifier.salt, verifier.iterations)
    async with logged_in(target(login_server.port, "scram_user", None), secret=keys) as server:
        assert await ask(server, "SELECT current_user") == "scram_user"


async def test_an_md5_hash_logs_in(login_server: Server) -> None:
    secret = md5_hash(b"md5_user", PASSWORD.encode())
    async with logged_in(target(login_server.port, "md5_user", None), secret=secret) as server:
        assert await ask(server, "SELECT current_user") == "md5_user"


async def test_keys_are_made_once(login_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    derive = key_cache.derive_keys  # type: ignore[attr-defined]  # likewise

    def derive_and_tell(password: bytes, salt: bytes, iterations: int) -> object:
        made.append(salt)
        return derive(password, salt, iterations)

    monkeypatch.setattr(key_cache, "derive_keys", derive_and_tell)
    keys = KeyCache()
    for _ in range(3):
        async with logged_in(target(login_server.port, "scram_user"), keys=keys):
            pass
    assert len(made) == 1


# -- what is wrong, and what to do -----------------------------------------------------------------


async def test_a_wrong_password(login_server: Server) -> None:
    failure = await _failure(target(login_server.port, "scram_user", "wrong"))
    assert failure.is_permanent
    assert failure.error is not None
    assert failure.error.sqlstate == "28P01"
    assert "check user and password" in str(failure)
    assert "wrong" not in str(failure)


async def test_no_password_at_all(login_server: Server) -> None:
    failure = await _failure(target(login_server.port, "scram_user", None))
    assert failure.is_permanent
    assert "scram-sha-256" in str(failure)


async def test_no_such_database(login_server: Server) -> None:
    failure = await _failure(target(login_server.port, "postgres", database="nowhere"))
    assert failure.error is not None
    assert failure.error.sqlstate == "3D000"
    assert "createdb" in str(failure)


async def test_a_user_whom_no_rule_lets_in(login_server: Server) -> None:
    failure = await _failure(target(login_server.port, "tls_user", tls=DISABLE))
    assert failure.error is not None
    assert failure.error.sqlstate == "28000"
    assert "pg_hba.conf" in str(failure)


async def test_nobody_is_there() -> None:
    failure = await _failure(target(free_port(), "postgres"))
    assert not failure.is_permanent
    assert "is the database running there" in str(failure)


async def test_no_such_socket(tmp_path: Path) -> None:
    failure = await _failure(target(5432, "postgres", host=str(tmp_path)))
    assert str(tmp_path) in str(failure)


async def test_no_such_name() -> None:
    failure = await _failure(target(5432, "postgres", host="nobody.invalid"))
    assert "nobody.invalid" in str(failure)
    assert "check the spelling" in str(failure)


# -- TLS -------------------------------------------------------------------------------------------


def _verified(mode: TlsMode, authority: trustme.CA, **values: bytes) -> UpstreamTls:
    return UpstreamTls(mode=mode, ca=authority.cert_pem.bytes(), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL])
async def test_a_trusted_certificate(login_server: Server, ca: trustme.CA, mode: TlsMode) -> None:
    async with logged_in(target(login_server.port, "tls_user", tls=_verified(mode, ca))) as server:
        assert await ask(server, IS_ENCRYPTED) == "t"


@pytest.mark.parametrize("mode", [TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL])
async def test_a_certificate_of_another_authority(login_server: Server, other_ca: trustme.CA, mode: TlsMode) -> None:
    failure = await _failure(target(login_server.port, "tls_user", tls=_verified(mode, other_ca)))
    assert "is refused" in str(failure)
    assert "sslrootcert" in str(failure)


async def test_prefer_looks_at_no_certificate(login_server: Server, other_ca: trustme.CA) -> None:
    where = target(login_server.port, "tls_user", tls=_verified(TlsMode.PREFER, other_ca))
    async with logged_in(where) as server:
        assert await ask(server, IS_ENCRYPTED) == "t"


async def test_prefer_goes_on_without_tls_when_it_is_not_welcome_with_it(login_server: Server) -> None:
    async with logged_in(target(login_server.port, "plaintext_user", None)) as server:
        assert await ask(server, IS_ENCRYPTED) == "f"


async def test_prefer_does_not_try_again_where_nobody_is() -> None:
    """Every attempt is a line of the audit log, and one of the refusals that a worker may have."""
    asked = []

    class Nobody(dialing.DirectServerDialer):
        async def dial(self, host: str, port: int) -> object:  # type: ignore[override]
            asked.append((host, port))
            raise ConnectionRefusedError("nobody is there")

    with pytest.raises(LoginFailed, match="nobody is there"):
        await open_server(1, target(1, "u"), lambda _: None, keys=KeyCache(), dialer=Nobody())  # type: ignore[arg-type]
    assert asked == [(HOST, 1)]


async def test_the_name_in_the_certificate(
    login_server: Server, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``verify-ca`` takes a certificate of any name, ``verify-full`` only the right one."""

    class Elsewhere(dialing.DirectServerDialer):
        async def dial(self, host: str, port: int) -> object:  # type: ignore[override]
            assert host == "elsewhere.example"
            return await super().dial(HOST, port)

    async def open_as(mode: TlsMode) -> None:
        where = target(login_server.port, "tls_user", host="elsewhere.example", tls=_verified(mode, ca))
        lost = asyncio.Event()
        server = await open_server(1, where, lambda _: lost.set(), keys=KeyCache(), dialer=Elsewhere())  # type: ignore[arg-type]
        server.close()
        await lost.wait()

    await open_as(TlsMode.VERIFY_CA)
    with pytest.raises(LoginFailed, match="connect by a name that it has"):
        await open_as(TlsMode.VERIFY_FULL)


async def test_a_certificate_of_ours(login_server: Server, ca: trustme.CA) -> None:
    issued = ca.issue_cert("cert_user@longshore.example", common_name="cert_user")
    identity = {
        "certificate": b"".join(blob.bytes() for blob in issued.cert_chain_pems),
        "key": issued.private_key_pem.bytes(),
    }
    where = target(login_server.port, "cert_user", None, tls=_verified(TlsMode.VERIFY_FULL, ca, **identity))
    async with logged_in(where) as server:
        assert await ask(server, "SELECT current_user") == "cert_user"


async def test_a_server_without_tls() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(refuse, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        failure = await _failure(target(port, "postgres", tls=REQUIRE))
        assert "set ssl = on" in str(failure)
        await asyncio.sleep(0)
    await _settled()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSomebody put this in", "somebody may have put in"),
        (b"HTTP/1.1 400", "is it the right port"),
        (b"", "closed"),
    ],
)
async def test_a_server_that_answers_strangely(answer: bytes, words: str) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(reply, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        failure = await _failure(target(port, "postgres", tls=REQUIRE))
        assert words in str(failure)
    await _settled()


async def _settled() -> None:
    """Let the handlers of the test's own server end."""
    for _ in range(5):
        await asyncio.sleep(0)
