"""The FTP example against vsftpd, in clear and over TLS, and against pyftpdlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import ftp_list
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.server_process import Server


def sizes(listing: Sequence[str]) -> dict[str, int]:
    """Return name and size of the files in a listing like ``ls -l``."""
    return {words[-1]: int(words[4]) for words in map(str.split, listing)}


def wanted(server: Server) -> dict[str, int]:
    return {name: len(text) for name, text in server.facts.items()}


async def test_lists_the_files(ftp_server: Server) -> None:
    assert sizes(await ftp_list.main(ftp_server.address)) == wanted(ftp_server)


async def test_lists_the_files_over_tls(ftp_server: Server, ca_file: Path) -> None:
    assert sizes(await ftp_list.main(ftp_server.address, str(ca_file))) == wanted(ftp_server)


async def test_lists_the_files_of_pyftpdlib(pyftpdlib_server: Server) -> None:
    assert sizes(await ftp_list.main(pyftpdlib_server.address)) == wanted(pyftpdlib_server)


def test_command_line(ftp_server: Server, ca_file: Path) -> None:
    assert sizes(run_example("ftp_list", ftp_server.address, ca_file).splitlines()) == wanted(ftp_server)
