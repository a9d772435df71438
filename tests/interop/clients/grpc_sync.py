"""grpcio, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Call a method that answers in capitals."""
    made = (
        grpc.secure_channel(target.address, grpc.ssl_channel_credentials(target.ca_pem.encode()))
        if target.is_tls
        else grpc.insecure_channel(target.address)
    )
    with made as channel:
        answer: bytes = channel.unary_unary("/harbour.Echo/Shout")(b"ahoy", timeout=20)
    assert answer == b"AHOY"
    return answer.decode()
