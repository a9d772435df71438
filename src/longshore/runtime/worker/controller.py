"""``controller``: the first argument of a ``scheduled`` handler."""

from __future__ import annotations

__all__ = ["ScheduledController"]


class ScheduledController:
    """What is due, and since when.

    Args:
        cron: the pattern.
        scheduled_time_ms: since the epoch.
    """

    __slots__ = ("cron", "scheduled_time", "wants_retry")

    type = "scheduled"

    def __init__(self, cron: str, scheduled_time_ms: int) -> None:
        self.cron = cron
        self.scheduled_time = scheduled_time_ms
        self.wants_retry = True

    @property
    def scheduledTime(self) -> int:  # noqa: N802 - Cloudflare's spelling
        """When the event was due, in milliseconds since the epoch."""
        return self.scheduled_time

    def no_retry(self) -> None:
        """Ask not to be run again after a failure; this runtime never does."""
        self.wants_retry = False

    noRetry = no_retry  # noqa: N815 - Cloudflare's spelling

    def __repr__(self) -> str:
        return f"<ScheduledController {self.cron!r} at {self.scheduled_time} ms>"
