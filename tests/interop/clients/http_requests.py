"""requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from tests.interop.clients.page import PAGE, url

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page twice over one connection."""
    with requests.Session() as session:
        # Not session.verify, which the environment's REQUESTS_CA_BUNDLE overrides.
        verify = target.ca_file if target.is_tls else True
        pages = [session.get(url(target), verify=verify, timeout=20).text for _ in range(2)]
    assert pages == [PAGE, PAGE]
    return f"{pages[0]}"
