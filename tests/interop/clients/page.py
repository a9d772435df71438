"""The page that HTTP clients get."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.target import Target

__all__ = ["PAGE", "url"]

PAGE = "All hands on deck.\n"


def url(target: Target, scheme: str = "http") -> str:
    """Return the URL of the page, or of the endpoint for ``ws``."""
    return f"{scheme}{'s' if target.is_tls else ''}://{target.address}/ahoy"
