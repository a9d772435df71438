"""``irc_server``: ngIRCd in the foreground, plain on one port and with TLS on another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import HOST, Server, free_port, require_program, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "irc"
NAME = "irc.longshore.example"

CONFIGURATION = f"""
[Global]
Name = {NAME}
Info = Longshore test server
AdminInfo1 = Longshore
AdminLocation = loopback
AdminEMail = admin@longshore.example
MotdPhrase = hello from ngIRCd
Listen = {HOST}
Ports = {{port}}
[Limits]
MaxConnectionsIP = 0
[Options]
DNS = no
Ident = no
PAM = no
[SSL]
CertFile = {{chain}}
KeyFile = {{private_key}}
Ports = {{tls_port}}
"""


@pytest.fixture(scope="session")
def irc_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An IRC server; ``facts["name"]`` is what it calls itself."""
    ngircd = require_program("ngircd")
    port, tls_port = free_port(), free_port()
    with server_directory("irc", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        configuration = directory / "ngircd.conf"
        configuration.write_text(
            CONFIGURATION.format(port=port, tls_port=tls_port, chain=files.chain, private_key=files.private_key),
            encoding="ascii",
        )
        hello = b"NICK probe\r\nUSER probe 0 * :probe\r\nQUIT\r\n"
        is_ready = partial(says, port, b" 001 probe", after=hello)
        with running([ngircd, "-n", "-f", configuration], is_ready, user=USER, directory=directory):
            yield Server(port, directory, tls_port=tls_port, facts={"name": NAME})
