"""aioftp, passive mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aioftp

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Get a file; with TLS, log in and out, because its data connections and vsftpd's wait for each other."""
    client = aioftp.Client()
    await client.connect(target.host, target.port)
    try:
        if target.context is not None:
            await client.upgrade_to_tls(target.context)
        await client.login()
        if target.is_tls:
            folder = await client.get_current_directory()
            await client.quit()
            return f"{folder}"
        async with client.download_stream("gopher.txt") as stream:
            text = (await stream.read()).decode()
        await client.quit()
    finally:
        client.close()
    assert text == target.facts["gopher.txt"]
    return text.strip()
