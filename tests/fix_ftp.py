"""``ftp_server``: vsftpd with optional TLS; ``pyftpdlib_server``: the same folder from pyftpdlib, plain."""

from __future__ import annotations

import sys
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
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "ftp"

FILES = {"README.txt": "served by a real FTP server\n", "gopher.txt": "burrows\n"}
"""What lies in the public folder."""

# Under an account without rights vsftpd cannot change its root or drop privileges it does not have. Its
# seccomp filter is older than today's kernels and C libraries. Clients need not resume the control
# connection's TLS session for the data connection (require_ssl_reuse): most libraries cannot.
CONFIGURATION = f"""
listen=YES
listen_address={HOST}
listen_port={{port}}
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
anon_root={{public}}
local_enable=NO
xferlog_enable=NO
pasv_address={HOST}
ssl_enable=YES
allow_anon_ssl=YES
require_ssl_reuse=NO
force_local_logins_ssl=NO
force_local_data_ssl=NO
ssl_ciphers=HIGH
rsa_cert_file={{chain}}
rsa_private_key_file={{private_key}}
"""


@pytest.fixture(scope="session")
def ftp_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """Vsftpd; anonymous users see two files, in clear or after ``AUTH TLS``."""
    vsftpd = require_program("vsftpd")
    port = free_port()
    with server_directory("vsftpd", USER) as directory:
        public = make_public(directory)
        files = install_certificate(server_cert_files, directory, USER)
        configuration = directory / "vsftpd.conf"
        configuration.write_text(
            CONFIGURATION.format(port=port, public=public, chain=files.chain, private_key=files.private_key),
            encoding="ascii",
        )
        give_to(USER, configuration)
        with running([vsftpd, configuration], partial(says, port, b"220 "), user=USER, directory=directory):
            yield Server(port, directory, facts=dict(FILES))


@pytest.fixture(scope="session")
def pyftpdlib_server() -> Iterator[Server]:
    """The same from pyftpdlib; its TLS would need pyOpenSSL, so it is plain."""
    port = free_port()
    with server_directory("pyftpdlib", None) as directory:
        public = make_public(directory)
        command = [sys.executable, "-m", "pyftpdlib", "-i", HOST, "-p", port, "-d", public]
        with running(command, partial(says, port, b"220 "), user=None, directory=directory):
            yield Server(port, directory, facts=dict(FILES))


def make_public(directory: Path) -> Path:
    """Write the public folder, read-only: vsftpd refuses an anonymous root that can be written to."""
    public = directory / "public"
    public.mkdir()
    for name, text in FILES.items():
        (public / name).write_text(text, encoding="ascii")
        (public / name).chmod(0o444)
    public.chmod(0o555)
    return public
