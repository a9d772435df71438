"""``postgres_server``: a PostgreSQL cluster of its own, with TLS after ``SSLRequest`` and no password."""

from __future__ import annotations

import signal
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import (
    HOST,
    Server,
    free_port,
    require_program,
    run_tool,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"

PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
STARTUP = struct.pack("!ii", 8 + len(PARAMETERS), 196608) + PARAMETERS  # protocol 3.0
AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0"


@pytest.fixture(scope="session")
def postgres_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A PostgreSQL server; ``postgres`` is user and database, trusted from the loopback."""
    postgres = require_program("postgres")
    port = free_port()
    with server_directory("postgres", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        make_cluster(Path(postgres).with_name("initdb"), directory)
        command = [postgres, "-D", directory / "data", *settings(port, files)]
        # It accepts while it recovers, and then says "the database system is starting up".
        is_ready = partial(says, port, AUTHENTICATION_OK, after=STARTUP)
        # SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
        with running(command, is_ready, user=USER, directory=directory, stop_signal=signal.SIGINT):
            yield Server(port, directory, version(postgres, directory))


def make_cluster(initdb: Path, directory: Path) -> None:
    """Write the folder ``data``."""
    words = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    run_tool([initdb, *words], user=USER, directory=directory)


def settings(port: int, files: CertificateFiles) -> list[str]:
    """Return the settings as arguments: small, on the loopback only, no Unix socket, not crash-safe."""
    values = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": files.chain,
        "ssl_key_file": files.private_key,
        "shared_buffers": "16MB",
        "fsync": "off",
        "max_prepared_transactions": "10",
    }
    return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]


def version(postgres: str, directory: Path) -> str:
    """Return ``15.10`` or the like."""
    return run_tool([postgres, "--version"], user=USER, directory=directory).split()[2]
