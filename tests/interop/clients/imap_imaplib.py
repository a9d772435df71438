"""imaplib."""

from __future__ import annotations

from imaplib import IMAP4, IMAP4_SSL
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Append a mail to the inbox and read its subject."""
    with connected(target) as client:
        client.login(target.facts["user"], target.facts["password"])
        client.append("INBOX", "", "", b"Subject: ahoy\r\n\r\nAll hands on deck.\r\n")
        client.select("INBOX")
        _, found = client.search(None, "SUBJECT", "ahoy")
        last = found[0].split()[-1].decode()
        _, parts = client.fetch(last, "(BODY[HEADER.FIELDS (SUBJECT)])")
    subject = parts[0][1].decode().strip()
    assert subject == "Subject: ahoy"
    return f"{subject}"


def connected(target: Target) -> IMAP4:
    """Return the client, encrypted as asked."""
    if target.mode == "tls":
        return IMAP4_SSL(target.host, target.port, ssl_context=target.context, timeout=20)
    client = IMAP4(target.host, target.port, timeout=20)
    if target.mode == "starttls":
        client.starttls(target.context)
    return client
