"""``redis_server``: Redis, plain on one port and with TLS on another, without files."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import HOST, Server, free_port, require_program, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "redis"


@pytest.fixture(scope="session")
def redis_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A Redis server."""
    redis = require_program("redis-server")
    port, tls_port = free_port(), free_port()
    with server_directory("redis", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        options = {
            "bind": HOST,
            "port": port,
            "tls-port": tls_port,
            "tls-cert-file": files.chain,
            "tls-key-file": files.private_key,
            "tls-auth-clients": "no",
            "dir": directory,
            "save": "",
        }
        command = [redis, *(word for key, value in options.items() for word in (f"--{key}", str(value)))]
        is_ready = partial(says, port, b"+PONG", after=b"PING\r\n")
        with running(command, is_ready, user=USER, directory=directory):
            yield Server(port, directory, version(redis), tls_port)


def version(redis: str) -> str:
    """Return the version as ``INFO`` reports it."""
    said = subprocess.run([redis, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=([\d.]+)", said)
    assert found is not None, f"redis-server --version said {said!r}"
    return found[1]
