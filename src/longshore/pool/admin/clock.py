"""The time of day, for the columns that tell one (shell)."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["epoch_s"]


def epoch_s() -> float:
    """Return the seconds since 1970."""
    return datetime.now(tz=UTC).timestamp()  # noqa: TID251 - shown to people, nothing is measured with it
