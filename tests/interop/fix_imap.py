"""``imap_server``: Dovecot with an empty mailbox, plain (and STARTTLS) on one port and with TLS on another."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.certificates import CertificateFiles, install_certificate
from tests.server_process import (
    HOST,
    Server,
    account,
    free_port,
    give_to,
    require_program,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "dovecot"
PASSWORD = "lighthouse"

# All of it runs under one account, without a changed root.
CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = /dev/stderr
protocols = imap
listen = {host}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{directory}/mail/%u
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{chain}
ssl_key = <{private_key}
ssl_dh =
mail_fsync = never
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={directory}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@pytest.fixture(scope="session")
def imap_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """An IMAP server; ``facts``: ``user`` and ``password`` of a mailbox."""
    dovecot = require_program("dovecot")
    port, tls_port = free_port(), free_port()
    with server_directory("imap", USER) as directory:
        configuration = write_configuration(server_cert_files, directory, port, tls_port)
        is_ready = partial(says, port, b"a OK", after=b"a NOOP\r\n")
        with running([dovecot, "-F", "-c", configuration], is_ready, user=USER, directory=directory):
            yield Server(port, directory, version(dovecot), tls_port, {"user": "mate", "password": PASSWORD})


def write_configuration(source: CertificateFiles, directory: Path, port: int, tls_port: int) -> Path:
    """Write dovecot.conf."""
    files = install_certificate(source, directory, USER)
    entry = account(USER)
    uid, gid = (os.geteuid(), os.getegid()) if entry is None else (entry.pw_uid, entry.pw_gid)
    configuration = directory / "dovecot.conf"
    text = CONFIGURATION.format(
        directory=directory,
        host=HOST,
        user=pwd.getpwuid(uid).pw_name,
        group=grp.getgrgid(gid).gr_name,
        chain=files.chain,
        private_key=files.private_key,
        password=PASSWORD,
        port=port,
        tls_port=tls_port,
    )
    configuration.write_text(text, encoding="ascii")
    give_to(USER, configuration)
    return configuration


def version(dovecot: str) -> str:
    """Return ``2.3.19.1`` or the like."""
    return subprocess.run([dovecot, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
