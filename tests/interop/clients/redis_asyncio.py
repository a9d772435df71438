"""redis-py, redis.asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio import Redis

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Set a value and read it in one trip."""
    tls = {"ssl": True, "ssl_ca_certs": target.ca_file} if target.is_tls else {}
    async with (
        Redis(host=target.host, port=target.port, decode_responses=True, **tls) as client,
        client.pipeline() as pipeline,
    ):
        _, value = await pipeline.set("interop:asyncio", "ahoy", ex=60).get("interop:asyncio").execute()
    assert value == "ahoy"
    return f"{value}"
