"""``TokenBucket``: how often something may happen (PURE)."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """A token bucket.

    Args:
        per_s: so many tokens come each second.
        burst: so many fit in, and are there at the beginning.
        now: seconds, on a clock that does not jump.
    """

    def __init__(self, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._then = now

    def take(self, now: float) -> float:
        """Take a token and return 0.0, or return in how many seconds there will be one."""
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._per_s)
        self._then = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_s
