"""``rabbitmq_server``: RabbitMQ, plain on one port and with TLS on another, beside an Erlang port mapper of its own."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import HOST, Server, free_port, give_to, require_program, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "rabbitmq"

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the script of that name on the PATH, which serves from the machine's own folders."""

CONFIGURATION = f"""
listeners.tcp.1 = {HOST}:{{port}}
listeners.ssl.1 = {HOST}:{{tls_port}}
ssl_options.certfile = {{chain}}
ssl_options.keyfile = {{private_key}}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
loopback_users = none
log.console = true
log.file = false
"""

PROTOCOL = b"AMQP\0\0\x09\x01"


@pytest.fixture(scope="session")
def rabbitmq_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An AMQP broker; ``facts``: ``user`` and ``password``."""
    require_program("rabbitmq-server")
    port, tls_port, map_port = free_port(), free_port(), free_port()
    with server_directory("rabbitmq", USER) as directory, port_mapper(map_port, directory):
        files = install_certificate(server_cert_files, directory, USER)
        configuration = directory / "rabbitmq.conf"
        text = CONFIGURATION.format(port=port, tls_port=tls_port, chain=files.chain, private_key=files.private_key)
        configuration.write_text(text, encoding="ascii")
        give_to(USER, configuration)
        command = ["env", *environment(directory, map_port, port), PROGRAM]
        is_ready = partial(says, port, b"RabbitMQ", after=PROTOCOL)
        with running(command, is_ready, user=USER, directory=directory):
            yield Server(port, directory, version(), tls_port, {"user": "guest", "password": "guest"})


@contextmanager
def port_mapper(port: int, directory: Path) -> Iterator[None]:
    """Run epmd in the foreground: the one that Erlang starts by itself would stay for ever."""
    epmd = require_program("epmd")
    folder = directory / "epmd"
    folder.mkdir()
    give_to(USER, folder)
    command = [epmd, "-port", port, "-address", HOST]
    # NAMES_REQ: the answer begins with the port.
    is_ready = partial(says, port, port.to_bytes(4, "big"), after=b"\0\x01n")
    with running(command, is_ready, user=USER, directory=folder):
        yield


def environment(directory: Path, map_port: int, port: int) -> list[str]:
    """Return the variables that keep it in its directory, on the loopback, and small."""
    values = {
        "HOME": directory,
        "ERL_EPMD_PORT": map_port,
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_NODENAME": f"interop{port}@localhost",
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_CONFIG_FILE": directory / "rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "plugins",
        "RABBITMQ_MNESIA_BASE": directory / "mnesia",
        "RABBITMQ_LOG_BASE": directory / "log.d",
        "RABBITMQ_GENERATED_CONFIG_DIR": directory / "generated",
        "RABBITMQ_PID_FILE": directory / "pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        # The program then becomes Erlang, which ends in order on SIGTERM, instead of waiting for it in a shell.
        "RABBITMQ_ALLOW_INPUT": "true",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
    }
    return [f"{name}={value}" for name, value in values.items()]


def version() -> str:
    """Return ``3.10.8`` or the like, which is the name of the folder that it lies in."""
    folders = Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
    return max((folder.name.removeprefix("rabbitmq_server-") for folder in folders), default="")
