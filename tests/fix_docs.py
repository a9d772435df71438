"""``docs_network``: the names that the documentation's examples use, served on the loopback."""

from __future__ import annotations

import contextlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.certificates import write_certificate
from tests.server_process import HOST, free_port, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

TESTS: Final = Path(__file__).parent
NETWORK: Final = TESTS / "docs" / "network.py"
SMTP: Final = TESTS / "smtp_server.py"
TLS_NAMES: Final = ("www.example", "echo.example", "cut.example", "members.example", "smtp.example")
GOPHER: Final = TESTS.parent / "examples" / "_gopher_server.py"


@pytest.fixture(scope="session")
def docs_files(ca: trustme.CA, other_ca: trustme.CA) -> Iterator[Path]:
    """A folder with the certificates of the servers, and with the files that the examples name."""
    with server_directory("docs", None) as directory:
        ca.cert_pem.write_to_path(str(directory / "ca.pem"))
        other_ca.cert_pem.write_to_path(str(directory / "corp-ca.pem"))
        corporate = write_certificate(other_ca, directory, "intranet.example")
        corporate.chain.rename(directory / "corp.pem")
        corporate.private_key.rename(directory / "corp.key")
        write_certificate(ca, directory, *TLS_NAMES)
        client = ca.issue_cert("alice@members.example")
        client.private_key_pem.write_to_path(str(directory / "client.key"))
        client.cert_chain_pems[0].write_to_path(str(directory / "client.pem"))
        yield directory


@pytest.fixture(scope="session")
def docs_network(docs_files: Path) -> Iterator[dict[str, str]]:
    """The routes of the examples: from ``name:port`` to where it is served."""
    ports = docs_files / "ports.json"
    gopher, smtp = free_port(), free_port()
    mailbox = docs_files / "mails"
    mailbox.mkdir()
    certificate = (docs_files / "server.pem", docs_files / "server.key")
    with contextlib.ExitStack() as servers:
        for command, is_ready in (
            ((sys.executable, "-I", NETWORK, docs_files), ports.exists),
            ((sys.executable, GOPHER, gopher), partial(says, gopher, b"\r\n.\r\n", after=b"\r\n")),
            ((sys.executable, "-I", SMTP, smtp, mailbox, *certificate), partial(says, smtp, b"220 ")),
        ):
            directory = servers.enter_context(server_directory("docs-log", None))
            servers.enter_context(running(command, is_ready, user=None, directory=directory))
        served = {**json.loads(ports.read_text()), "gopher.example:70": gopher, "smtp.example:587": smtp}
        yield {name: f"{HOST}:{port}" for name, port in served.items()}
