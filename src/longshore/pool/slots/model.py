"""What the state of a pool is told, what it decides, and its numbers (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

__all__ = [
    "Action",
    "Assign",
    "CloseServer",
    "Event",
    "OpenServer",
    "Paused",
    "PauseRequested",
    "ProbeServer",
    "ReconnectRequested",
    "Reject",
    "RejectReason",
    "ResumeRequested",
    "RulesChanged",
    "Rules",
    "ServerBroke",
    "ServerClosed",
    "ServerFailed",
    "ServerOpened",
    "ServerReturned",
    "SessionGone",
    "SessionWaits",
    "TimePassed",
    "back_off_s",
]


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of one pool."""

    size: int = 20
    """Server connections at the same time."""
    min_idle: int = 0
    """How many are kept open although nobody needs them."""
    max_waiting: int = 10_000
    """Sessions that may wait at the same time."""
    wait_timeout_s: float = 120.0
    idle_timeout_s: float = 600.0
    lifetime_s: float = 3600.0
    """A connection is replaced when it is so old; a little earlier by chance, so that not all go at once."""
    probe_after_s: float = 30.0
    """A connection that was idle for longer is asked before it is used."""
    outage_s: float = 10.0
    """A restart or a fail-over of the database is waited for so long; after that nobody waits for an outage to end."""


def back_off_s(failures: int) -> float:
    """Return how long to wait before the next attempt: 0.1 s, 0.2 s, 0.4 s, … 5 s after that many failures in a row."""
    # 5 s: a database that comes back is found soon, and one that is down is not flooded.
    return 0.0 if failures <= 0 else min(5.0, 0.1 * 2.0 ** min(failures - 1, 6))


class RejectReason(Enum):
    """Why a session that waited gets no server connection."""

    TIMED_OUT = auto()
    TOO_MANY = auto()
    CANNOT_LOG_IN = auto()
    """The database refuses the account, does not exist, or has been out of reach for long: waiting would not help."""


# --- events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionWaits:
    """A session needs a server connection now."""

    session_id: int
    tenant: str = ""
    """With whom it shares its fair part."""


@dataclass(frozen=True, slots=True)
class SessionGone:
    """A session that waits does not need one any more; one that has one returns it or breaks it."""

    session_id: int


@dataclass(frozen=True, slots=True)
class ServerOpened:
    """A connection is logged in."""

    server_id: int
    lifetime_s: float
    """When it is to be replaced, counted from now; the caller spreads these."""


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """A connection could not be opened."""

    server_id: int
    is_permanent: bool
    """True: the login was refused; whoever waits is told so."""


@dataclass(frozen=True, slots=True)
class ServerReturned:
    """Its session is done with it, and it is clean; or a probe found it alive."""

    server_id: int


@dataclass(frozen=True, slots=True)
class ServerBroke:
    """It cannot be used any more: it ended by itself, or its session left it in an unknown state."""

    server_id: int


@dataclass(frozen=True, slots=True)
class ServerClosed:
    """A connection that was to be closed is gone."""

    server_id: int


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Assign nothing; ``Paused`` follows when the last server connection came back."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Assign again."""


@dataclass(frozen=True, slots=True)
class ReconnectRequested:
    """Use no connection that exists now for another session."""


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """The numbers are these from now on."""

    rules: Rules


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A deadline was reached."""


Event: TypeAlias = (
    SessionWaits
    | SessionGone
    | ServerOpened
    | ServerFailed
    | ServerReturned
    | ServerBroke
    | ServerClosed
    | PauseRequested
    | ResumeRequested
    | ReconnectRequested
    | RulesChanged
    | TimePassed
)


# --- actions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenServer:
    """Log in; ``ServerOpened`` or ``ServerFailed`` follows."""

    server_id: int


@dataclass(frozen=True, slots=True)
class CloseServer:
    """End it; ``ServerClosed`` follows."""

    server_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeServer:
    """Ask whether it is alive; ``ServerReturned`` or ``ServerBroke`` follows."""

    server_id: int


@dataclass(frozen=True, slots=True)
class Assign:
    """The session has this connection from now on."""

    session_id: int
    server_id: int
    waited_s: float


@dataclass(frozen=True, slots=True)
class Reject:
    """The session gets none."""

    session_id: int
    reason: RejectReason
    waited_s: float


@dataclass(frozen=True, slots=True)
class Paused:
    """No connection is in use any more."""


Action: TypeAlias = OpenServer | CloseServer | ProbeServer | Assign | Reject | Paused
