"""``workers.workflows``: what code written for Cloudflare Workflows imports. There are no workflows in this version."""

from __future__ import annotations

__all__ = ["NonRetryableError"]


class NonRetryableError(Exception):
    """Raised by a step of a workflow that must not be tried again."""
