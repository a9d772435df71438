"""httpx on trio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.interop.clients.http_httpx_async import run as get

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page twice over one connection."""
    return trio.run(get, target)
