"""How many clients may come (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClientLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Numbers of connections of clients at the same time; None: no bound."""

    clients: int = 10_000
    """That have logged in."""
    starting: int = 10_000
    """That have not: a crowd of strangers must not use up our descriptors."""
    per_database: int | None = None
    per_user: int | None = None
