"""What ``longshore pool`` has to tell, as values: each says its level, its name and its sentence (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    EventSink: TypeAlias = "Callable[[PoolEvent], None]"

__all__ = [
    "ClientLeft",
    "ClientLoggedIn",
    "ConfigNotice",
    "Figures",
    "Listening",
    "LoginRefused",
    "MetricsAt",
    "MetricsFailed",
    "Pinned",
    "PoolEvent",
    "Reloaded",
    "ReloadRejected",
    "ServerLoginFailed",
    "ServerLoginWorks",
    "ServerLogins",
    "SessionsWait",
    "Stopped",
    "Stopping",
    "StoppingSlowly",
    "SuccessorLost",
    "TakenOverBy",
    "TookOver",
]

_SHOWN_CHARS = 160


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """Something that happened."""

    level: ClassVar[str] = "info"
    name: ClassVar[str] = ""

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Listening(PoolEvent):
    """It accepts clients."""

    name: ClassVar[str] = "listening"
    addresses: tuple[str, ...]

    def __str__(self) -> str:
        return f"listening at {', '.join(self.addresses)}"


@dataclass(frozen=True, slots=True)
class ConfigNotice(PoolEvent):
    """Something in the configuration that is right, and perhaps not meant."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "config_notice"
    key: str
    notice: str

    def __str__(self) -> str:
        return f"{self.key} {self.notice}"


@dataclass(frozen=True, slots=True)
class MetricsAt(PoolEvent):
    """Metrics can be read."""

    name: ClassVar[str] = "metrics"
    url: str

    def __str__(self) -> str:
        return f"metrics at {self.url}"


@dataclass(frozen=True, slots=True)
class MetricsFailed(PoolEvent):
    """They cannot; everything else goes on."""

    level: ClassVar[str] = "error"
    name: ClassVar[str] = "metrics_failed"
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class CacheStore(PoolEvent):
    """The store of the read cache does not answer, or answers again."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "cache_store"
    store: str
    reason: str
    """Empty: it answers again."""

    def __str__(self) -> str:
        if not self.reason:
            return f"the store of the read cache, {self.store}, answers again"
        what = "reads go to the database until it does"
        return f"the store of the read cache, {self.store}, does not answer ({self.reason}): {what}"


@dataclass(frozen=True, slots=True)
class ClientLoggedIn(PoolEvent):
    """A client was let in."""

    level: ClassVar[str] = "debug"
    name: ClassVar[str] = "client_logged_in"
    session_id: int
    user: str
    database: str
    address: str

    def __str__(self) -> str:
        return f"client {self.session_id} logged in: {self.user}@{self.database} from {self.address or 'here'}"


@dataclass(frozen=True, slots=True)
class ClientLeft(PoolEvent):
    """A client has gone."""

    level: ClassVar[str] = "debug"
    name: ClassVar[str] = "client_left"
    session_id: int
    user: str
    database: str

    def __str__(self) -> str:
        return f"client {self.session_id} left: {self.user}@{self.database}"


@dataclass(frozen=True, slots=True)
class LoginRefused(PoolEvent):
    """A client was not let in."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "login_refused"
    user: str
    database: str
    address: str
    sqlstate: str
    reason: str

    def __str__(self) -> str:
        return f"login refused: {self.user}@{self.database} from {self.address or 'here'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Pinned(PoolEvent):
    """A session keeps its server connection; told once for each reason and statement."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "pinned"
    database: str
    user: str
    session_id: int
    reason: str
    statement: str

    def __str__(self) -> str:
        text = shortened(self.statement)
        cause = f" because of: {text}" if text else ""
        return f"{self.user}@{self.database} client {self.session_id} keeps its server connection: {self.reason}{cause}"


@dataclass(frozen=True, slots=True)
class ServerLoginFailed(PoolEvent):
    """The pool could not log in to a database."""

    level: ClassVar[str] = "error"
    name: ClassVar[str] = "server_login_failed"
    database: str
    user: str
    reason: str
    failures: int
    """Since the last login that worked."""

    def __str__(self) -> str:
        times = "" if self.failures == 1 else f" ({self.failures} times in a row)"
        return f"cannot log in to {self.database} as {self.user}{times}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ServerLoginWorks(PoolEvent):
    """It can again."""

    name: ClassVar[str] = "server_login_works"
    database: str
    user: str

    def __str__(self) -> str:
        return f"logging in to {self.database} as {self.user} works again"


@dataclass(frozen=True, slots=True)
class ServerLogins(PoolEvent):
    """Server connections were opened."""

    level: ClassVar[str] = "debug"
    name: ClassVar[str] = "server_logins"
    database: str
    user: str
    opened: int
    servers: int

    def __str__(self) -> str:
        what = "1 server connection" if self.opened == 1 else f"{self.opened} server connections"
        return f"opened {what} to {self.database} as {self.user}, now {self.servers}"


@dataclass(frozen=True, slots=True)
class SessionsWait(PoolEvent):
    """Sessions have waited for a server connection for long."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "sessions_wait"
    database: str
    user: str
    waiting: int
    longest_s: float
    size: int

    def __str__(self) -> str:
        who = "1 session waits" if self.waiting == 1 else f"{self.waiting} sessions wait"
        return (
            f"{who} for one of the {self.size} server connections of {self.user}@{self.database},"
            f" the longest for {self.longest_s:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Figures(PoolEvent):
    """The figures of a minute."""

    name: ClassVar[str] = "figures"
    clients: int
    servers: int
    waiting: int
    transactions_per_s: float
    queries_per_s: float
    in_bytes_per_s: float
    out_bytes_per_s: float
    wait_ms: float
    """How long those waited who did not get a server connection at once, on average."""
    pinned: int
    cache_hits: int

    def __str__(self) -> str:
        cache = f", {self.cache_hits} cached" if self.cache_hits else ""
        pins = f", {self.pinned} pinned" if self.pinned else ""
        waits = f", {self.waiting} waiting" if self.waiting else ""
        return (
            f"{self.transactions_per_s:.0f} transactions/s, {self.queries_per_s:.0f} queries/s{cache},"
            f" in {self.in_bytes_per_s:.0f} B/s, out {self.out_bytes_per_s:.0f} B/s, waited {self.wait_ms:.1f} ms;"
            f" {clients(self.clients)}, server connections: {self.servers}{waits}{pins}"
        )


@dataclass(frozen=True, slots=True)
class Reloaded(PoolEvent):
    """A new configuration is in force."""

    name: ClassVar[str] = "reloaded"
    databases: int
    not_applied: tuple[str, ...] = ()

    def __str__(self) -> str:
        rest = f"; {', '.join(self.not_applied)} needs a restart (--replace)" if self.not_applied else ""
        return f"configuration reloaded: {self.databases} database{'s' if self.databases != 1 else ''}{rest}"


@dataclass(frozen=True, slots=True)
class ReloadRejected(PoolEvent):
    """The new configuration is wrong; the old one stays in force."""

    level: ClassVar[str] = "error"
    name: ClassVar[str] = "reload_rejected"
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "the configuration is wrong, the former stays in force: " + "; ".join(self.problems)


@dataclass(frozen=True, slots=True)
class Stopping(PoolEvent):
    """It accepts no more."""

    name: ClassVar[str] = "stopping"
    clients: int
    grace_s: float

    def __str__(self) -> str:
        return f"stopping: {clients(self.clients)} may end what is in a transaction, for at most {self.grace_s:g} s"


@dataclass(frozen=True, slots=True)
class StoppingSlowly(PoolEvent):
    """The time is up."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "stopping_slowly"
    clients: int

    def __str__(self) -> str:
        return f"cut off in the middle of a transaction: {clients(self.clients)}"


@dataclass(frozen=True, slots=True)
class Stopped(PoolEvent):
    """The end."""

    name: ClassVar[str] = "stopped"

    def __str__(self) -> str:
        return "stopped"


@dataclass(frozen=True, slots=True)
class TookOver(PoolEvent):
    """This process has the place of another."""

    name: ClassVar[str] = "took_over"
    pid: int

    def __str__(self) -> str:
        return f"took the place of process {self.pid}, which moves its clients here"


@dataclass(frozen=True, slots=True)
class TakenOverBy(PoolEvent):
    """Another process has ours."""

    name: ClassVar[str] = "taken_over"
    pid: int
    clients: int

    def __str__(self) -> str:
        return f"process {self.pid} took over; {clients(self.clients)} will move there, each when it comes to rest"


@dataclass(frozen=True, slots=True)
class SuccessorLost(PoolEvent):
    """Who wanted our place is gone before it had it, or died."""

    level: ClassVar[str] = "warning"
    name: ClassVar[str] = "successor_lost"
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: this process goes on accepting"


def clients(count: int) -> str:
    """Return ``1 client`` or ``2 clients``."""
    return f"{count} client{'' if count == 1 else 's'}"


def shortened(statement: str) -> str:
    """Return a statement in one line, and not all of a long one."""
    text = " ".join(statement.split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
