"""Node.js with redis, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.program import node

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Set a value and read it."""
    value = node("redis.js", target.to_json())
    assert value == "ahoy"
    return value
