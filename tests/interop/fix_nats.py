"""``nats_server``: nats-server, plain on one port; on another one that begins plain and demands TLS in its greeting."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import HOST, Server, free_port, require_program, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "nats"


@pytest.fixture(scope="session")
def nats_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A NATS server, and another one for TLS: clients take TLS only where they must."""
    nats = require_program("nats-server")
    with one(nats) as plain, one(nats, server_cert_files) as encrypted:
        yield Server(plain.port, plain.directory, version(nats), encrypted.port)


@contextmanager
def one(nats: str, source: CertificateFiles | None = None) -> Iterator[Server]:
    """Run a server; with a certificate it takes nobody without TLS."""
    port = free_port()
    with server_directory("nats", USER) as directory:
        command = [nats, "-a", HOST, "-p", port]
        if source is not None:
            files = install_certificate(source, directory, USER)
            command += ["--tls", "--tlscert", files.chain, "--tlskey", files.private_key]
        with running(command, partial(says, port, b"INFO {"), user=USER, directory=directory):
            yield Server(port, directory)


def version(nats: str) -> str:
    """Return ``2.9.10`` or the like."""
    said = subprocess.run([nats, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].removeprefix("v")
