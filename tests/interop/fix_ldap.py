"""``ldap_server``: slapd with one entry, plain (and StartTLS) on one port and with TLS on another."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import (
    HOST,
    Server,
    free_port,
    give_to,
    require_program,
    run_tool,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "openldap"

BASE = "dc=harbour,dc=example"
MASTER = f"cn=master,{BASE}"
PASSWORD = "lighthouse"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_ldif
TLSCACertificateFile {chain}
TLSCertificateFile {chain}
TLSCertificateKeyFile {private_key}
database ldif
suffix "{base}"
rootdn "{master}"
rootpw {password}
directory {data}
"""

ENTRY = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: harbour
o: Harbour
"""

# LDAPMessage 1: an anonymous simple bind of version 3; and the answer: message 1, BindResponse, success.
BIND = bytes.fromhex("300c020101600702010304008000")
BOUND = bytes.fromhex("0201016107")


@pytest.fixture(scope="session")
def ldap_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A directory; ``facts``: ``user``, ``password`` and the ``base`` of the search."""
    slapd = require_program("slapd")
    port, tls_port = free_port(), free_port()
    with server_directory("ldap", USER) as directory:
        configuration = write_configuration(server_cert_files, directory)
        entry = directory / "entry.ldif"
        entry.write_text(ENTRY, encoding="ascii")
        run_tool([slapd, "-Tadd", "-f", configuration, "-l", entry], user=USER, directory=directory)
        urls = f"ldap://{HOST}:{port} ldaps://{HOST}:{tls_port}"
        command = [slapd, "-d", "0", "-h", urls, "-f", configuration]
        with running(command, partial(says, port, BOUND, after=BIND), user=USER, directory=directory):
            facts = {"user": MASTER, "password": PASSWORD, "base": BASE}
            yield Server(port, directory, version(slapd), tls_port, facts)


def write_configuration(source: CertificateFiles, directory: Path) -> Path:
    """Write slapd.conf and what it names."""
    files = install_certificate(source, directory, USER)
    data = directory / "data"
    data.mkdir(mode=0o700)
    give_to(USER, data)
    configuration = directory / "slapd.conf"
    text = CONFIGURATION.format(
        chain=files.chain, private_key=files.private_key, base=BASE, master=MASTER, password=PASSWORD, data=data
    )
    configuration.write_text(text, encoding="ascii")
    give_to(USER, configuration)
    return configuration


def version(slapd: str) -> str:
    """Return ``2.5.13`` or the like."""
    said = subprocess.run([slapd, "-VV"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"slapd ([\d.]+)", said)
    assert found is not None, f"slapd -VV said {said!r}"
    return found[1]
