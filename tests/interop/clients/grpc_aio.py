"""grpcio, grpc.aio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Call a method that answers in capitals."""
    made = (
        grpc.aio.secure_channel(target.address, grpc.ssl_channel_credentials(target.ca_pem.encode()))
        if target.is_tls
        else grpc.aio.insecure_channel(target.address)
    )
    async with made as channel:
        answer: bytes = await channel.unary_unary("/harbour.Echo/Shout")(b"ahoy", timeout=20)
    assert answer == b"AHOY"
    return answer.decode()
