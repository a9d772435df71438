"""``echo_server``: answers after the end of the words, plain on one port and with TLS on another."""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server_process import HOST, Server, free_port, running, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.certificates import CertificateFiles

PROGRAM = Path(__file__).with_name("echo_server.py")


@pytest.fixture(scope="session")
def echo_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An echo server that needs half-open connections."""
    port, tls_port = free_port(), free_port()
    with server_directory("echo", None) as directory:
        files = (server_cert_files.chain, server_cert_files.private_key)
        command = [sys.executable, "-I", PROGRAM, port, tls_port, *files]
        with running(command, partial(echoes, port), user=None, directory=directory):
            yield Server(port, directory, tls_port=tls_port)


def echoes(port: int) -> bool:
    """Return whether the server answers after our FIN.

    Raises:
        OSError: it refused, reset or was silent.
    """
    with socket.create_connection((HOST, port), timeout=2.0) as client:
        client.sendall(b"?")
        client.shutdown(socket.SHUT_WR)
        return client.recv(1) == b"?"
