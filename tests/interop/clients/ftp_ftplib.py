"""ftplib, passive mode."""

from __future__ import annotations

from ftplib import FTP, FTP_TLS
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get a file."""
    lines: list[str] = []
    with FTP_TLS(context=target.context) if target.is_tls else FTP() as client:
        client.connect(target.host, target.port, timeout=20)
        client.login()
        if isinstance(client, FTP_TLS):
            client.prot_p()
        client.retrlines("RETR gopher.txt", lines.append)
    assert lines == [target.facts["gopher.txt"].strip()]
    return lines[0]
