"""The IRC example against ngIRCd, plain and over TLS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from examples import irc_hello
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server


@pytest.fixture
def nick() -> str:
    """A nickname nobody else has: the server may still be dropping the one of the test before."""
    return f"n{os.urandom(3).hex()}"


async def test_is_welcomed(irc_server: Server, nick: str) -> None:
    numerics = await irc_hello.main(irc_server.address, nick=nick)
    assert numerics["001"].startswith(f"{nick} :Welcome to the Internet Relay Network {nick}!")
    assert irc_server.facts["name"] in numerics["002"]
    assert "bye" in numerics["ERROR"]


async def test_is_welcomed_over_tls(irc_server: Server, ca_file: Path, nick: str) -> None:
    numerics = await irc_hello.main(irc_server.tls_address, str(ca_file), nick)
    assert numerics["001"].startswith(f"{nick} :Welcome to the Internet Relay Network {nick}!")


def test_command_line(irc_server: Server) -> None:
    assert "Welcome to the Internet Relay Network" in run_example("irc_hello", irc_server.address)
