"""What is counted for one pool (values): plain numbers, because each is touched in every transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Statistics"]


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
