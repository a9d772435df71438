"""What a read cache is told, and what it says about each query (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CacheRules", "Reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """How long and how much, for one database."""

    is_enabled: bool = False
    is_on_request: bool = False
    """Keep only what asks for it, by ``/* longshore: cache=on */`` or ``SET longshore.cache = on``."""
    max_age_s: float = 60.0
    stale_while_revalidate_s: float = 15.0
    """So long after ``max_age_s`` the old result is still given while one session fetches the new one."""
    max_result_bytes: int = 1024 * 1024
    """A longer one is passed on, not kept."""


class Reason(Enum):
    """Why a result came from where it came; the value is what logs, metrics and the admin view say."""

    HIT = "hit"
    STALE = "stale"
    """A hit beyond ``max_age_s``; a refresh is under way."""
    SHARED = "shared"
    """Another session had asked the same and was waited for."""
    MISS = "miss"
    DISABLED = "disabled"
    OFF_BY_COMMENT = "off by comment"
    OFF_BY_SETTING = "off by setting"
    """``SET longshore.cache = off``."""
    NOT_A_READ = "not a read"
    MULTIPLE_STATEMENTS = "multiple statements"
    TRANSACTION = "transaction"
    PINNED = "pinned"
    """The session has something on its server connection that may change the meaning."""
    VOLATILE = "volatile"
    """A function, a type or a literal in it depends on more than the rows."""
    SYSTEM_CATALOG = "system catalog"
    FOREIGN_TABLE = "foreign table"
    ROW_SECURITY = "row-level security"
    LOCKS_ROWS = "locks rows"
    NO_TABLE = "no table"
    """It reads none: such a query often asks whether the database is there."""
    CATALOGUE_UNKNOWN = "catalogue not read yet"
    UNKNOWN_NAME = "unknown name"
    """Not in what is known of the catalogue."""
    UNREADABLE = "unreadable"
    """The parser does not understand the text."""
    PARTIAL = "partial"
    """Not one whole read between two Syncs, or one that was sent behind something else."""
    OVERSIZED_QUERY = "oversized query"
    OVERSIZED_RESULT = "oversized result"
    FAILED = "failed"
    """The database answered with an error, or with a notice, which is not kept."""
    SUSPENDED = "suspended"
    """Another process has clients of the same databases: during an online restart, with results in memory."""
    STORE_UNAVAILABLE = "store unavailable"
