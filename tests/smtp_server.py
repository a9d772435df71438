"""An SMTP server to be run as a process: aiosmtpd with STARTTLS, which writes every mail to a folder.

``python -I tests/smtp_server.py PORT MAILBOX CHAIN PRIVATE_KEY [PLAIN_PORT]``. A mail is one JSON file, complete before
the client hears ``250``; ``mails(folder)`` reads them.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

from aiosmtpd.smtp import SMTP

HOST = "127.0.0.1"
NAME = "mail.longshore.example"


class Mail(TypedDict):
    """A mail as it arrived."""

    sender: str
    recipients: list[str]
    body: str
    tls_version: str | None
    """``"TLSv1.3"``, or None when it came in clear."""


class Mailbox:
    """The handler: writes the mails down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = count(1)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail, then say so."""
        tls = server.transport.get_extra_info("ssl_object")
        mail = Mail(
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            body=envelope.content.decode(),
            tls_version=tls.version() if tls else None,
        )
        path = self.folder / f"{next(self.numbers):06}.json"
        path.write_text(json.dumps(mail), encoding="utf-8")
        return "250 kept"


def mails(folder: Path) -> list[Mail]:
    """Return the mails in the order of their arrival."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


async def serve(port: int, mailbox: Path, context: ssl.SSLContext, plain_port: int | None) -> None:
    """Serve until SIGTERM; mail is taken only after STARTTLS, except on the plain port."""
    loop = asyncio.get_running_loop()
    handler = Mailbox(mailbox)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    servers = []
    if plain_port is not None:
        servers.append(await loop.create_server(partial(SMTP, handler, hostname=NAME), HOST, plain_port))
    make = partial(SMTP, handler, hostname=NAME, tls_context=context, require_starttls=True)
    servers.append(await loop.create_server(make, HOST, port))
    await ended.wait()
    for server in servers:
        server.close()


def main(port: str, mailbox: str, chain: str, private_key: str, plain_port: str | None = None) -> None:
    """Read the arguments and serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private_key)
    asyncio.run(serve(int(port), Path(mailbox), context, int(plain_port) if plain_port else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
