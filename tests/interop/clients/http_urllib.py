"""urllib.request."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.interop.clients.page import PAGE, url

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page."""
    with urlopen(url(target), context=target.context, timeout=20) as response:
        page = response.read().decode()
    assert page == PAGE
    return f"{page}"
