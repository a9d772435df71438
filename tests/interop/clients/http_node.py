"""Node.js, fetch (plain) and https (TLS), as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.page import PAGE
from tests.interop.clients.program import node

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page."""
    page = node("fetch.js", target.to_json())
    assert page == PAGE.strip()
    return page
