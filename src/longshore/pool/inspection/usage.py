"""Who has the server connections of a pool, as one sentence and an advice (PURE)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.pool.inspection.model import ClientState

if TYPE_CHECKING:
    from longshore.pool.inspection.model import ClientInfo

__all__ = ["Usage", "usage_hint", "usage_sentence"]

_SHOWN_REASONS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Who has the connections of one pool."""

    size: int
    """How many there may be."""
    open: int
    """How many are logged in."""
    holders: tuple[ClientInfo, ...]
    """The clients that have one."""
    left: int = 0
    """Connections whose client has gone, and which are being cleaned."""
    waiting: int = 0
    is_paused: bool = False


def usage_sentence(usage: Usage) -> str:
    """Return who holds what for how long."""
    used = len(usage.holders) + usage.left
    text = f"{used} of {usage.size} server connections are in use"
    parts = [part for part in (_idle(usage), _pinned(usage), _busy(usage)) if part]
    if usage.left:
        parts.append(f"{usage.left} left by clients that have gone")
    if parts:
        text = f"{text}: {', '.join(parts)}"
    if usage.waiting:
        text = f"{text}; {_many(usage.waiting, 'session waits', 'sessions wait')}"
    return f"{text}; the pool is paused" if usage.is_paused else text


def usage_hint(usage: Usage) -> str:
    """Return what would help most."""
    if usage.is_paused:
        return "RESUME in the admin database ends the pause"
    counts = Counter(client.state for client in usage.holders)
    worst = max(counts, key=lambda state: counts[state], default=ClientState.ACTIVE)
    if worst is ClientState.IDLE_IN_TRANSACTION:
        return (
            "end transactions before waiting for anything else; SHOW CLIENTS in the admin database"
            " lists who is idle in transaction, KILL CLIENT ends one"
        )
    if worst is ClientState.PINNED:
        return (
            "SHOW PINS in the admin database says which statements tie sessions to connections;"
            " raise the pool's size if they are needed"
        )
    return "raise the pool's size, or find the slow queries: SHOW CLIENTS in the admin database says who runs them"


def _idle(usage: Usage) -> str:
    clients = [each for each in usage.holders if each.state is ClientState.IDLE_IN_TRANSACTION]
    if not clients:
        return ""
    longest = max(clients, key=lambda client: client.state_s)
    idle = f"idle in transaction for {_seconds(longest.idle_in_transaction_s)}"
    return f"{len(clients)} in transactions that are idle (longest {_who(longest)}, {idle})"


def _pinned(usage: Usage) -> str:
    clients = [each for each in usage.holders if each.state is ClientState.PINNED]
    if not clients:
        return ""
    counts = Counter(reason for client in clients for reason, _ in client.pins)
    reasons = " and ".join(reason for reason, _ in counts.most_common(_SHOWN_REASONS))
    longest = max(clients, key=lambda client: client.state_s)
    return f"{len(clients)} pinned by {reasons} (longest {_who(longest)})"


def _busy(usage: Usage) -> str:
    known = (ClientState.IDLE_IN_TRANSACTION, ClientState.PINNED)
    clients = [each for each in usage.holders if each.state not in known]
    if not clients:
        return ""
    longest = max(clients, key=lambda client: client.state_s)
    return f"{_many(len(clients), 'in a query', 'in queries')} (longest {_who(longest)})"


def _who(client: ClientInfo) -> str:
    name = f', application "{client.application_name}"' if client.application_name else ""
    return f"{_seconds(client.state_s)}, client {client.client_id}{name}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _seconds(seconds: float) -> str:
    """Return a duration as a person says it."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
