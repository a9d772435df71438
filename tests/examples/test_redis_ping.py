"""The Redis example against Redis, plain and over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import redis_ping
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server


async def test_answers(redis_server: Server) -> None:
    pong, info = await redis_ping.main(redis_server.address)
    assert pong == "+PONG"
    assert (info["redis_version"], info["tcp_port"]) == (redis_server.version, str(redis_server.port))


async def test_answers_over_tls(redis_server: Server, ca_file: Path) -> None:
    pong, info = await redis_ping.main(redis_server.tls_address, str(ca_file))
    assert pong == "+PONG"
    assert info["redis_version"] == redis_server.version


def test_command_line(redis_server: Server, ca_file: Path) -> None:
    wanted = f"+PONG from Redis {redis_server.version}, process "
    assert run_example("redis_ping", redis_server.address).startswith(wanted)
    assert run_example("redis_ping", redis_server.tls_address, ca_file).startswith(wanted)
