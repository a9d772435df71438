"""``smtp_server``: aiosmtpd in a process of its own, which takes mail only after STARTTLS."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server_process import Server, free_port, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.certificates import CertificateFiles

PROGRAM = Path(__file__).with_name("smtp_server.py")


@pytest.fixture(scope="session")
def smtp_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An SMTP server; ``facts["plain_port"]`` is one without STARTTLS.

    ``tests.smtp_server.mails(server.directory)`` is what it received.
    """
    port, plain_port = free_port(), free_port()
    with server_directory("smtp", None) as directory:
        files = (server_cert_files.chain, server_cert_files.private_key)
        command = [sys.executable, "-I", PROGRAM, port, directory, *files, plain_port]
        with running(command, partial(says, port, b"220 "), user=None, directory=directory):
            yield Server(port, directory, facts={"plain_port": f"{plain_port}"})
