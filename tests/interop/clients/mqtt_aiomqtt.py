"""aiomqtt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiomqtt

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Hear what this client publishes."""
    async with aiomqtt.Client(target.host, target.port, tls_context=target.context) as client:
        topic = f"interop/aiomqtt/{id(client)}"
        await client.subscribe(topic)
        await client.publish(topic, b"ahoy")
        async for message in client.messages:
            assert message.payload == b"ahoy"
            return message.payload.decode()
    raise AssertionError("no message")
