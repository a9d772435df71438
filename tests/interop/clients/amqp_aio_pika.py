"""aio-pika."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aio_pika

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Publish to a queue and take the message from it."""
    connection = await aio_pika.connect(
        host=target.host,
        port=target.port,
        ssl=target.is_tls,
        ssl_context=target.context,
        login=target.facts["user"],
        password=target.facts["password"],
    )
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await channel.default_exchange.publish(aio_pika.Message(b"ahoy"), queue.name)
        async with queue.iterator(timeout=20) as messages:
            async for message in messages:
                await message.ack()
                assert message.body == b"ahoy"
                return message.body.decode()
    raise AssertionError("no message")
