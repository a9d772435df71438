"""The half-open example against a server that answers only after the end of the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import echo_half_open
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server

# More than the buffers of one connection, so that the echo arrives in many reads.
WORDS = "all hands on deck " * 50_000


async def test_hears_the_echo_after_fin(echo_server: Server) -> None:
    assert await echo_half_open.main(echo_server.address, WORDS) == WORDS


async def test_hears_the_echo_after_close_notify(echo_server: Server, ca_file: Path) -> None:
    assert await echo_half_open.main(echo_server.tls_address, WORDS, str(ca_file)) == WORDS


def test_command_line(echo_server: Server, ca_file: Path) -> None:
    assert run_example("echo_half_open", echo_server.address, "ahoy") == "ahoy\n"
    assert run_example("echo_half_open", echo_server.tls_address, "ahoy", ca_file) == "ahoy\n"
