"""The SMTP example against aiosmtpd, which takes mail only after STARTTLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import smtp_starttls
from tests.examples.command_line import run_example
from tests.smtp_server import mails

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server

TEXT = "Ahoy,\n.a line with a dot in front\n..and one with two\n\nlove from the coast ☀"


async def test_mail_arrives_as_it_was_sent(smtp_server: Server, ca_file: Path, loop_name: str) -> None:
    recipient = f"{loop_name}@example.org"
    assert await smtp_starttls.main(smtp_server.address, recipient, TEXT, str(ca_file)) == "250 kept"
    mail = mails(smtp_server.directory)[-1]
    assert mail["sender"] == "longshore@example.org"
    assert mail["recipients"] == [recipient]
    assert mail["body"] == f"To: <{recipient}>\r\n\r\n" + TEXT.replace("\n", "\r\n") + "\r\n"
    assert mail["tls_version"] == "TLSv1.3"


def test_command_line(smtp_server: Server, ca_file: Path) -> None:
    printed = run_example("smtp_starttls", smtp_server.address, "you@example.org", "hello", ca_file)
    assert printed == "250 kept\n"
    assert mails(smtp_server.directory)[-1]["body"] == "To: <you@example.org>\r\n\r\nhello\r\n"
