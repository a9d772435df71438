"""The same logins on the pool's own event loop, whose transports TLS lies upon."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from longshore.pool.clients.authentication import Authentication
from longshore.pool.servers.target import TlsMode, UpstreamTls
from longshore.proto.postgres.auth import PlainPassword
from tests.pool.login.doors import Knock, Refused, a_target, client_context, door_on, pool_tls
from tests.postgres_logins import PASSWORD

if sys.platform == "linux":
    from longshore.pool.hot.loop import new_event_loop

if TYPE_CHECKING:
    import trustme

    from tests.server_process import Server

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.skipif(sys.platform != "linux", reason="the loop is Linux's alone"),
]


@pytest.mark.parametrize("is_direct", [False, True], ids=["asked", "direct"])
def test_tls_on_both_sides(login_server: Server, ca: trustme.CA, is_direct: bool) -> None:
    async def run() -> None:
        rules = Authentication(users={"tls_user": PlainPassword(PASSWORD.encode())})
        tls = UpstreamTls(mode=TlsMode.VERIFY_FULL, ca=ca.cert_pem.bytes())
        where = a_target(login_server.port, user="", tls=tls)
        async with door_on(where, authentication=rules, tls=pool_tls(ca)) as rig:
            for _ in range(3):
                async with Knock(rig.port) as knock:
                    await knock.start_tls(client_context(ca), is_direct=is_direct)
                    await knock.log_in("tls_user", PASSWORD)
                    assert await knock.value("SELECT session_user") == "tls_user"
                    text = "z" * 1_000_000
                    assert await knock.value(f"SELECT '{text}'") == text
            async with Knock(rig.port) as knock:
                await knock.start_tls(client_context(ca), is_direct=is_direct)
                with pytest.raises(Refused, match="28P01"):
                    await knock.log_in("tls_user", "wrong")
            async with Knock(rig.port) as knock:
                knock.send(b"\x16\x03\x01\x00\x05hello")
                assert (await knock.rest())[:1] == b"\x15"

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run())
