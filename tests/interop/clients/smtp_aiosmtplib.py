"""aiosmtplib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiosmtplib

from tests.interop.clients.mail import RECIPIENT, SENDER, TEXT

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Send a mail."""
    async with aiosmtplib.SMTP(
        hostname=target.host, port=target.port, start_tls=target.is_tls, tls_context=target.context, timeout=20
    ) as client:
        refused, said = await client.sendmail(SENDER, [RECIPIENT], TEXT)
    assert refused == {}
    return said
