"""What a look-up found, and for how long that holds (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress

__all__ = ["Answer", "AnswerCache", "Outcome"]

Outcome: TypeAlias = Literal["found", "no-address", "no-name", "failed"]
"""``"no-address"``: the name exists. ``"failed"``: nobody knows, and it may be otherwise soon."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a host, or why there are none."""

    outcome: Outcome
    addresses: tuple[IpAddress, ...] = ()
    """In the system's order of preference (RFC 6724); not empty when the outcome is ``"found"``."""
    ttl_s: int = 0
    """For how many more seconds this may be taken for true."""
    is_override: bool = False
    """Written in the configuration (``[network] hosts``)."""
    code: int = 0
    """The system's error number (``EAI_…``)."""
    reason: str = ""
    """The system's words for it."""


class AnswerCache:
    """Answers by host, each for its time; bounded, the oldest goes first.

    Args:
        max_hosts: so many are kept.
    """

    def __init__(self, *, max_hosts: int = 4096) -> None:
        self._max_hosts = max_hosts
        self._kept: dict[str, tuple[float, Answer]] = {}

    def __len__(self) -> int:
        """Return how many answers are kept, those included whose time is over."""
        return len(self._kept)

    def put(self, host: str, answer: Answer, now: float) -> None:
        """Keep an answer until its ``ttl_s`` is over; nothing with 0."""
        self._kept.pop(host, None)
        if answer.ttl_s <= 0:
            return
        if len(self._kept) >= self._max_hosts:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = (now + answer.ttl_s, answer)

    def get(self, host: str, now: float) -> Answer | None:
        """Return the answer with what is left of its time, or None."""
        kept = self._kept.get(host)
        if kept is None:
            return None
        until, answer = kept
        if now >= until:
            del self._kept[host]
            return None
        # Rounded up: the last part of a second is no reason to say 0, which means "do not keep".
        left_s = -int(-(until - now) // 1)
        return Answer(answer.outcome, answer.addresses, left_s, answer.is_override, answer.code, answer.reason)

    def forget(self, host: str) -> None:
        """Drop the answer for a host, if there is one."""
        self._kept.pop(host, None)
