"""The SSH example against OpenSSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import ssh_banner
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from tests.server_process import Server


async def test_reads_the_banner_and_the_key_exchanges(ssh_server: Server) -> None:
    banner, algorithms = await ssh_banner.main(ssh_server.address)
    assert banner.startswith(f"SSH-2.0-{ssh_server.version}")
    assert "curve25519-sha256" in algorithms
    assert all(name.isascii() and name.isprintable() for name in algorithms)


def test_command_line(ssh_server: Server) -> None:
    printed = run_example("ssh_banner", ssh_server.address)
    assert printed.startswith(f"SSH-2.0-{ssh_server.version}")
    assert "\n  curve25519-sha256\n" in printed
