"""curl, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.page import PAGE, url
from tests.interop.clients.program import output

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page."""
    tls = ["--cacert", target.ca_file] if target.is_tls else []
    page = output("curl", "-sSf", "--max-time", "20", *tls, url(target))
    assert page == PAGE.strip()
    return page
