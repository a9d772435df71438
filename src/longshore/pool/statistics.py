"""What is counted for one pool (values): plain numbers, because each is touched in every transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["BOUNDS_S", "Statistics"]

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes in which times are counted; the last class has none."""


def _classes() -> list[int]:
    return [0] * (len(BOUNDS_S) + 1)


@dataclass(slots=True)
class Statistics:
    """Counts since the start; everything only grows."""

    transactions: int = 0
    """Ends of a batch outside a transaction block that a server answered."""
    queries: int = 0
    """Query messages and Syncs that a server answered."""
    client_bytes: int = 0
    """Received from clients."""
    server_bytes: int = 0
    """Received from servers."""
    waited: int = 0
    """Sessions that did not get a server connection at once."""
    wait_s: float = 0.0
    """How long they waited in all."""
    busy_s: float = 0.0
    """How long server connections were with a session in all."""
    held: list[int] = field(default_factory=_classes)
    """How often a session had one for how long, by class."""
    waits: list[int] = field(default_factory=_classes)
    """How often a session that did not get one at once waited for how long, by class."""
    idle_in_transaction_s: float = 0.0
    """How much of ``busy_s`` the server waited for the client."""
    logins: int = 0
    """Clients that logged in."""
    server_logins: int = 0
    server_login_failures: int = 0
    cancels: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Sessions that got no server connection, by the reason."""
    pins: Counter[str] = field(default_factory=Counter)
    """By their reason."""
    probes: int = 0
    """How often a server was asked what a session left behind."""
    cache: Counter[str] = field(default_factory=Counter)
    """Reads by ``Reason.value``."""
