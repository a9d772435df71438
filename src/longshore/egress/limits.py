"""``Usage``: what a worker uses of the network, and whether its limits let it have more (PURE).

``shortage()`` asks, ``admit()`` counts; a dial that was admitted is given back with ``release()``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.config.model import EgressLimits

__all__ = ["Shortage", "Usage"]

# Nobody says when a request is over. So many are remembered, and all that have something open.
_KEPT_REQUESTS: Final = 4096
_LIMITS: Final = ("open_sockets", "dials_per_s", "bytes", "request_open_sockets", "request_dials", "request_bytes")


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a dial has to wait, or cannot be."""

    limit: str
    """The key in ``[network.limits]``."""
    value: float
    can_wait: bool
    """True: it may get better."""
    retry_at: float | None = None
    """When time alone has made it better."""

    @property
    def is_of_request(self) -> bool:
        """True: other requests are not concerned."""
        return self.limit.startswith("request_")

    @property
    def is_of_sockets(self) -> bool:
        """True: it depends on how many sockets are open."""
        return self.limit.endswith("open_sockets")


@dataclass(slots=True)
class _Use:
    open: int = 0
    dials: int = 0
    bytes: int = 0


_UNUSED: Final = _Use()


class Usage:
    """What one worker process and each of its requests use."""

    def __init__(self, limits: EgressLimits) -> None:
        self.limits = limits
        self._is_unlimited = all(getattr(limits, name) is None for name in _LIMITS)
        self._all = _Use()
        self._requests: OrderedDict[str, _Use] = OrderedDict()
        # Dials that may begin at once: a second's worth saves up.
        self._burst = max(limits.dials_per_s or 0.0, 1.0)
        self._tokens = self._burst
        self._filled_at: float | None = None

    @property
    def open_sockets(self) -> int:
        """How many are open or being opened."""
        return self._all.open

    @property
    def has_byte_limit(self) -> bool:
        """True: bytes have to be counted while they flow."""
        return self.limits.bytes is not None or self.limits.request_bytes is not None

    def shortage(self, request_id: str, now: float) -> Shortage | None:
        """Return why one more dial is too much at the moment; None: it is not.

        What waiting cannot cure comes first, then what concerns the whole worker.
        """
        if self._is_unlimited:
            return None
        limits = self.limits
        return (
            self.bytes_shortage(request_id)
            or _reached("request_dials", limits.request_dials, self._of(request_id).dials, can_wait=False)
            or _reached("open_sockets", limits.open_sockets, self._all.open, can_wait=True)
            or self._token_shortage(now)
            or _reached("request_open_sockets", limits.request_open_sockets, self._of(request_id).open, can_wait=True)
        )

    def bytes_shortage(self, request_id: str) -> Shortage | None:
        """Return which limit of bytes is used up; None: none."""
        return _reached("bytes", self.limits.bytes, self._all.bytes, can_wait=False) or _reached(
            "request_bytes", self.limits.request_bytes, self._of(request_id).bytes, can_wait=False
        )

    def admit(self, request_id: str, now: float) -> None:
        """Count a dial that begins."""
        for use in self._uses(request_id):
            use.open += 1
            use.dials += 1
        if self.limits.dials_per_s is not None:
            self._fill(now, self.limits.dials_per_s)
            self._tokens -= 1

    def release(self, request_id: str) -> None:
        """Count that an admitted dial failed, or its socket was closed."""
        for use in self._uses(request_id):
            assert use.open > 0
            use.open -= 1

    def count_bytes(self, request_id: str, count: int) -> None:
        """Count what went through."""
        for use in self._uses(request_id):
            use.bytes += count

    def _token_shortage(self, now: float) -> Shortage | None:
        rate = self.limits.dials_per_s
        if rate is None:
            return None
        self._fill(now, rate)
        # The tolerance: sums of floats, and a timer that comes a little early.
        if self._tokens > 1 - 1e-6:
            return None
        if rate <= 0:
            return Shortage("dials_per_s", rate, can_wait=False)
        return Shortage("dials_per_s", rate, can_wait=True, retry_at=now + (1 - self._tokens) / rate)

    def _fill(self, now: float, rate: float) -> None:
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now

    def _of(self, request_id: str) -> _Use:
        return self._requests.get(request_id) or _UNUSED

    def _uses(self, request_id: str) -> tuple[_Use, ...]:
        if not request_id:
            return (self._all,)
        use = self._requests.get(request_id)
        if use is None:
            use = self._requests[request_id] = _Use()
            self._forget_old()
        return (self._all, use)

    def _forget_old(self) -> None:
        # Two for each one that comes, so that the table shrinks again when many had something open.
        for _ in range(min(len(self._requests) - _KEPT_REQUESTS, 2)):
            oldest, use = self._requests.popitem(last=False)
            if use.open:
                self._requests[oldest] = use  # as the newest


def _reached(limit: str, value: int | None, used: int, *, can_wait: bool) -> Shortage | None:
    if value is None or used < value:
        return None
    # Nothing becomes free where nothing may be open.
    return Shortage(limit, value, can_wait=can_wait and value > 0)
