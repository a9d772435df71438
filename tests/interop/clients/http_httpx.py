"""httpx, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.interop.clients.page import PAGE, url

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page twice over one connection."""
    with httpx.Client(verify=target.context or True, timeout=20) as client:
        pages = [client.get(url(target)).raise_for_status().text for _ in range(2)]
    assert pages == [PAGE, PAGE]
    return pages[0]
