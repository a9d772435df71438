"""smtplib."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

from tests.interop.clients.mail import RECIPIENT, SENDER, TEXT

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Send a mail."""
    with smtplib.SMTP(target.host, target.port, timeout=20) as client:
        if target.is_tls:
            client.starttls(context=target.context)
        assert client.sendmail(SENDER, [RECIPIENT], TEXT) == {}
        code, text = client.noop()
    assert code == 250
    return text.decode()
