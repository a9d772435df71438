"""What can be said to the admin database (PURE values)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from longshore.pool.admin.values import Value

__all__ = [
    "HELP",
    "AdminError",
    "ClearCache",
    "Command",
    "Constant",
    "Control",
    "Harmless",
    "Help",
    "KillClient",
    "Reload",
    "Set",
    "Show",
    "Shutdown",
    "ShutdownMode",
    "Transaction",
    "Verb",
]


class AdminError(Exception):
    """A command cannot be done.

    Attributes:
        sqlstate: five characters.
        message: what is wrong.
        hint: what to do.
    """

    def __init__(self, sqlstate: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.hint = hint


class Verb(Enum):
    """What can be done to a database."""

    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RECONNECT = "RECONNECT"
    DISABLE = "DISABLE"
    ENABLE = "ENABLE"
    KILL = "KILL"


class ShutdownMode(Enum):
    """When the process ends."""

    NOW = "NOW"
    WAIT_FOR_SERVERS = "WAIT_FOR_SERVERS"
    """When no server connection is in use any more."""
    WAIT_FOR_CLIENTS = "WAIT_FOR_CLIENTS"
    """When every client has gone; nobody new is let in."""


@dataclass(frozen=True, slots=True)
class Show:
    """A table."""

    name: str
    """In capitals."""


@dataclass(frozen=True, slots=True)
class Constant:
    """What drivers ask every server, and an admin database can answer too."""

    column: str
    value: Value
    tag: str


@dataclass(frozen=True, slots=True)
class Control:
    """Do something to a database."""

    verb: Verb
    database: str | None
    """None: to all."""


@dataclass(frozen=True, slots=True)
class KillClient:
    """Close the connection of one client."""

    client_id: int


@dataclass(frozen=True, slots=True)
class ClearCache:
    """Forget cached results."""

    database: str | None


@dataclass(frozen=True, slots=True)
class Set:
    """Change a number until the next reload."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the configuration again."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the process."""

    mode: ShutdownMode


@dataclass(frozen=True, slots=True)
class Transaction:
    """BEGIN, COMMIT or ROLLBACK: accepted, for there is nothing to roll back."""

    tag: str


@dataclass(frozen=True, slots=True)
class Harmless:
    """Something about the session, which an admin database does not need to know."""

    tag: str


Command: TypeAlias = (
    Show | Constant | Control | KillClient | ClearCache | Set | Reload | Shutdown | Transaction | Harmless
)


@dataclass(frozen=True, slots=True)
class Help:
    """One line of ``SHOW HELP``."""

    command: str
    what: str


HELP: Final = (
    Help("PAUSE [database]", "Assign no server connection any more; ends when none is in use. Clients wait meanwhile."),
    Help("RESUME [database]", "Assign server connections again, after PAUSE or KILL."),
    Help("RECONNECT [database]", "Replace every server connection: idle ones now, the others when they come back."),
    Help("DISABLE database", "Refuse new clients."),
    Help("ENABLE database", "Let new clients in again."),
    Help("KILL [database]", "Close every client and server connection now, and pause."),
    Help("KILL CLIENT id", "Close the connection of one client; the id is the last column of SHOW CLIENTS."),
    Help("CLEAR CACHE [database]", "Forget what the read cache holds."),
    Help("SET [database.]key = value", "Change a number until the next reload; SHOW CONFIG says which."),
    Help("RELOAD", "Read the configuration again."),
    Help("SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]", "End the process: at once, or when nobody needs it."),
)
"""All commands but SHOW; an admin may give them."""
