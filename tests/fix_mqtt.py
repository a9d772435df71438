"""``mqtt_server``: Mosquitto, plain on one port and with TLS on another, open to everybody."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import HOST, Server, free_port, require_program, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "mosquitto"

CONFIGURATION = f"""
persistence false
log_dest stderr
allow_anonymous true
listener {{port}} {HOST}
listener {{tls_port}} {HOST}
certfile {{chain}}
keyfile {{private_key}}
"""

# MQTT 3.1.1 CONNECT: protocol "MQTT" level 4, clean session, keep alive 10 s, client identifier "probe".
CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x0a\x00\x05probe"
CONNACK_ACCEPTED = b"\x20\x02\x00\x00"


@pytest.fixture(scope="session")
def mqtt_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An MQTT broker."""
    mosquitto = require_program("mosquitto")
    port, tls_port = free_port(), free_port()
    with server_directory("mqtt", USER) as directory:
        files = install_certificate(server_cert_files, directory, USER)
        configuration = directory / "mosquitto.conf"
        configuration.write_text(
            CONFIGURATION.format(port=port, tls_port=tls_port, chain=files.chain, private_key=files.private_key),
            encoding="ascii",
        )
        is_ready = partial(says, port, CONNACK_ACCEPTED, after=CONNECT)
        with running([mosquitto, "-c", configuration], is_ready, user=USER, directory=directory):
            yield Server(port, directory, tls_port=tls_port)
