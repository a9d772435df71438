"""nats-py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nats

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Ask a responder, which is this client too."""
    scheme = "tls" if target.is_tls else "nats"
    client = await nats.connect(f"{scheme}://{target.address}", tls=target.context, allow_reconnect=False)

    async def respond(message: Msg) -> None:
        await message.respond(message.data.upper())

    try:
        await client.subscribe("harbour", cb=respond)
        answer = await client.request("harbour", b"ahoy", timeout=20)
    finally:
        await client.close()
    assert answer.data == b"AHOY"
    return answer.data.decode()
