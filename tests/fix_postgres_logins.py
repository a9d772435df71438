"""``login_server``: a PostgreSQL that asks each user in another way, with TLS and certificates of clients."""

from __future__ import annotations

import signal
import socket
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.fix_postgres import AUTHENTICATION_OK, STARTUP, USER, make_cluster, version
from tests.postgres_logins import RULES, USERS
from tests.server_process import (
    HOST,
    START_LIMIT_S,
    Server,
    free_port,
    give_to,
    require_program,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def login_server(server_cert_files: CertificateFiles, ca_file: Path) -> Iterator[Server]:
    """The server; its Unix socket is in ``directory``."""
    postgres = require_program("postgres")
    port = free_port()
    with server_directory("postgres-logins", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        make_cluster(Path(postgres).with_name("initdb"), directory)
        (directory / "hba").write_text(RULES)
        (directory / "ca.pem").write_bytes(ca_file.read_bytes())
        give_to(USER, directory / "hba", directory / "ca.pem")
        command = [postgres, "-D", directory / "data", *_settings(port, files, directory)]
        is_ready = partial(says, port, AUTHENTICATION_OK, after=STARTUP)
        with running(command, is_ready, user=USER, directory=directory, stop_signal=signal.SIGINT):
            _run(port, USERS)
            yield Server(port, directory, version(postgres, directory))


def _run(port: int, statements: str) -> None:
    """Run statements as the superuser."""
    query = statements.encode() + b"\0"
    with socket.create_connection((HOST, port), timeout=START_LIMIT_S) as client:
        client.sendall(STARTUP + b"Q" + struct.pack("!i", 4 + len(query)) + query)
        received = b""
        while received.count(b"Z\0\0\0\x05I") < 2:  # after the login, and after the statements
            received += client.recv(65536)
            assert b"ERROR" not in received, received


def _settings(port: int, files: CertificateFiles, directory: Path) -> list[str]:
    values = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": directory,
        "ssl": "on",
        "ssl_cert_file": files.chain,
        "ssl_key_file": files.private_key,
        "ssl_ca_file": directory / "ca.pem",
        "hba_file": directory / "hba",
        "shared_buffers": "16MB",
        "fsync": "off",
    }
    return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]
