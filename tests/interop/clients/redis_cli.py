"""redis-cli, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.program import output

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask for an echo."""
    tls = ["--tls", "--cacert", target.ca_file] if target.is_tls else []
    value = output("redis-cli", "-h", target.host, "-p", f"{target.port}", *tls, "ECHO", "ahoy")
    assert value == "ahoy"
    return value
