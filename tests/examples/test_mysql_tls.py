"""The MySQL example against MariaDB; the account may only come over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples import mysql_tls
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server


async def test_logs_in(mysql_server: Server, ca_file: Path) -> None:
    facts = mysql_server.facts
    version = await mysql_tls.main(mysql_server.address, facts["user"], facts["password"], str(ca_file))
    assert mysql_server.version in version


async def test_logs_in_without_a_password(mysql_server: Server, ca_file: Path) -> None:
    assert mysql_server.version in await mysql_tls.main(mysql_server.address, "root", "", str(ca_file))


async def test_wrong_password_is_refused(mysql_server: Server, ca_file: Path) -> None:
    with pytest.raises(RuntimeError, match="Access denied"):
        await mysql_tls.main(mysql_server.address, mysql_server.facts["user"], "wrong", str(ca_file))


def test_command_line(mysql_server: Server, ca_file: Path) -> None:
    facts = mysql_server.facts
    printed = run_example("mysql_tls", mysql_server.address, facts["user"], facts["password"], ca_file)
    assert printed.startswith("logged in over TLS to ")
    assert mysql_server.version in printed
