"""What an operator configures of a pool (values)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from longshore.pool.cache.model import CacheRules
from longshore.pool.slots.model import Rules

if TYPE_CHECKING:
    from longshore.pool.servers.target import Target

__all__ = ["Database", "Mode"]


class Mode(Enum):
    """When a session gives its server connection back."""

    TRANSACTION = "transaction"
    """At the end of a transaction; what belongs to the session is carried over, or pins it."""
    SESSION = "session"
    """When the client leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database as clients name it."""

    name: str
    """``"*"`` stands for every name that no other entry has."""
    target: Target
    """Where it is. Empty: ``user`` stands for the client's own, ``database`` for the name that the client gave."""
    rules: Rules = field(default_factory=Rules)
    """Of each pool: one per account that logs in."""
    mode: Mode = Mode.TRANSACTION
    cache: CacheRules = field(default_factory=CacheRules)
