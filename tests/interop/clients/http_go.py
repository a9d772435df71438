"""A program in Go (hey) with Go's own resolver, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.page import url
from tests.interop.clients.program import output

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page ten times over two connections."""
    # Go makes its system calls itself; with this, it asks for names itself too.
    said = output("hey", "-n", "10", "-c", "2", "-t", "20", url(target), GODEBUG="netdns=go")
    assert "[200]\t10 responses" in said, said
    return "10 responses"
