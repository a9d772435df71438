"""redis-py, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import Redis

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Set a value and read it."""
    tls = {"ssl": True, "ssl_ca_certs": target.ca_file} if target.is_tls else {}
    with Redis(target.host, target.port, decode_responses=True, **tls) as client:
        client.set("interop:sync", "ahoy", ex=60)
        value = client.get("interop:sync")
    assert value == "ahoy"
    return value
