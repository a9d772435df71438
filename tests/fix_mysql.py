"""``mysql_server``: MariaDB with a database, TLS, and one account that may only come over TLS."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import (
    HOST,
    Server,
    free_port,
    give_to,
    require_program,
    run_tool,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "mysql"

ACCOUNT = {"user": "longshore", "password": "row-the-boat", "database": "harbour", "plain_user": "deckhand"}
INIT_SQL = """
CREATE USER '{user}'@'127.0.0.1' IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}');
ALTER USER '{user}'@'127.0.0.1' REQUIRE SSL;
CREATE DATABASE {database} CHARACTER SET utf8mb4;
GRANT ALL ON {database}.* TO '{user}'@'127.0.0.1';
CREATE USER '{plain_user}'@'127.0.0.1' IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}');
GRANT ALL ON {database}.* TO '{plain_user}'@'127.0.0.1';
"""


@pytest.fixture(scope="session")
def mysql_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A MariaDB server; ``facts``: ``user``, ``password`` and ``database`` of the account that requires TLS.

    ``plain_user`` is one that does not; it has the same password and database.
    """
    mariadbd = require_program("mariadbd")
    port = free_port()
    with server_directory("mysql", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        make_tables(mariadbd, directory)
        init_file = directory / "init.sql"
        init_file.write_text(INIT_SQL.format(**ACCOUNT), encoding="ascii")
        give_to(USER, init_file)
        command = [mariadbd, *options(port, directory, files, init_file)]
        with running(command, partial(says, port, b"mysql_native_password"), user=USER, directory=directory):
            yield Server(port, directory, version(mariadbd, directory), facts=dict(ACCOUNT))


def make_tables(mariadbd: str, directory: Path) -> None:
    """Write the folder ``data`` with the system tables."""
    program = Path(mariadbd).parent.parent / "bin" / "mariadb-install-db"
    words = [
        "--no-defaults",
        f"--datadir={directory / 'data'}",
        f"--tmpdir={directory}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-log-bin",
        "--innodb-log-file-size=4M",
    ]
    run_tool([program, *words], user=USER, directory=directory)


def options(port: int, directory: Path, files: CertificateFiles, init_file: Path) -> list[str]:
    """Return the arguments: small, on the loopback only, not crash-safe."""
    return [
        "--no-defaults",
        f"--datadir={directory / 'data'}",
        f"--tmpdir={directory}",
        f"--socket={directory / 'sock'}",
        f"--pid-file={directory / 'pid'}",
        f"--bind-address={HOST}",
        f"--port={port}",
        f"--ssl-cert={files.chain}",
        f"--ssl-key={files.private_key}",
        f"--init-file={init_file}",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
        "--innodb-flush-log-at-trx-commit=0",
    ]


def version(mariadbd: str, directory: Path) -> str:
    """Return ``10.11.6-MariaDB`` or the like, as it stands in the handshake."""
    said = run_tool([mariadbd, "--no-defaults", "--version"], user=USER, directory=directory)
    found = re.search(r"[\d.]+-MariaDB", said)
    assert found is not None, f"mariadbd --version said {said!r}"
    return found[0]
