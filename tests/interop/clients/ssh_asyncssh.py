"""asyncssh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Run a command."""
    async with asyncssh.connect(
        target.host,
        target.port,
        username=target.facts["user"],
        client_keys=[asyncssh.import_private_key(target.facts["private_key"])],
        known_hosts=([asyncssh.import_public_key(target.facts["host_key"])], [], []),
        config=None,
    ) as client:
        done = await client.run("echo ahoy", check=True, timeout=20)
    said = f"{done.stdout}".strip()
    assert said == "ahoy"
    return said
