"""The private name of an ``[[egress]]`` binding: what an unmodified driver connects to (PURE).

It is computed where it is needed, by the SDK and by the host, and means something inside its worker only.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PRIVATE_DOMAIN", "private_name"]

PRIVATE_DOMAIN: Final = "binding.longshore.internal"
"""Below ``internal``, which is reserved for private use and will never be delegated (ICANN board, 29 July 2024)."""


def private_name(binding: str) -> str:
    """Return the host name of a binding: ``billing-api.binding.longshore.internal`` for ``BILLING_API``."""
    # Many clients refuse an underscore in a host name; a binding's name has no hyphen, so nothing else gets this name.
    return f"{binding.lower().replace('_', '-')}.{PRIVATE_DOMAIN}"
