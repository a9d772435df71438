"""SHOW CLIENTS, SERVERS, SOCKETS and PINS (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from longshore.pool.admin.table import Column, Table, of_second
from longshore.pool.admin.values import Type
from longshore.pool.inspection.model import ClientInfo, ClientState, PinInfo, ServerInfo

__all__ = ["CLIENTS", "PINS", "SERVERS", "SOCKETS", "Dated", "Link"]

_TEXT, _INT, _FLOAT = Type.TEXT, Type.INT8, Type.FLOAT8
_MAX_STATEMENT: Final = 1000


@dataclass(frozen=True, slots=True)
class Dated:
    """A connection, with what its ages are counted from."""

    info: ClientInfo | ServerInfo
    epoch_s: float
    """The time of day, in seconds since 1970."""

    def at(self, age_s: float) -> str:
        """Return when something happened."""
        moment = datetime.fromtimestamp(self.epoch_s - age_s, tz=UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


@dataclass(frozen=True, slots=True)
class Link(Dated):
    """A client or a server connection, in the same columns."""

    @property
    def type(self) -> str:
        """``C`` or ``S``."""
        return "C" if isinstance(self.info, ClientInfo) else "S"

    @property
    def waited_s(self) -> float:
        """How long a client has been waiting for a server connection."""
        is_waiting = isinstance(self.info, ClientInfo) and self.info.state is ClientState.WAITING
        return self.info.state_s if is_waiting else 0.0

    @property
    def id(self) -> int:
        """Its own number."""
        return self.info.client_id if isinstance(self.info, ClientInfo) else self.info.server_id

    @property
    def other_id(self) -> int:
        """The number of what it is connected with now; 0: nothing."""
        return self.info.server_id if isinstance(self.info, ClientInfo) else self.info.client_id

    @property
    def remote_pid(self) -> int:
        """The process id that PostgreSQL says."""
        return self.info.server_pid if isinstance(self.info, ClientInfo) else self.info.pid

    @property
    def application_name(self) -> str:
        """Of a client."""
        return self.info.application_name if isinstance(self.info, ClientInfo) else ""

    @property
    def idle_in_transaction_s(self) -> float:
        """Of a client."""
        return self.info.idle_in_transaction_s if isinstance(self.info, ClientInfo) else 0.0

    @property
    def pins(self) -> str:
        """Of a client."""
        return ", ".join(reason for reason, _ in self.info.pins) if isinstance(self.info, ClientInfo) else ""

    @property
    def is_outdated(self) -> bool:
        """Of a server connection."""
        return isinstance(self.info, ServerInfo) and self.info.is_outdated


_COMMON: Final[tuple[Column[Link], ...]] = (
    Column("type", _TEXT, "`C` for a client, `S` for a server connection.", lambda x: x.type),
    Column("user", _TEXT, "Who is logged in.", lambda x: x.info.user),
    Column("database", _TEXT, "As clients name it.", lambda x: x.info.database),
    Column(
        "state",
        _TEXT,
        "Of a client: `idle`, `waiting`, `active`, `idle in transaction`, `pinned`;"
        " of a server connection: `login`, `idle`, `active`, `tested`, `closing`.",
        lambda x: x.info.state.value,
    ),
    Column("addr", _TEXT, "The address of the other side; `unix` for a Unix socket.", lambda x: x.info.peer.address),
    Column("port", _INT, "Its port.", lambda x: x.info.peer.port),
    Column("local_addr", _TEXT, "Our address.", lambda x: x.info.local.address),
    Column("local_port", _INT, "Our port.", lambda x: x.info.local.port),
    Column("connect_time", _TEXT, "When the connection was made.", lambda x: x.at(x.info.age_s)),
    Column("request_time", _TEXT, "When its state began, or its last request.", lambda x: x.at(x.info.state_s)),
    Column("wait", _INT, "Seconds that a client waits for a server connection.", lambda x: int(x.waited_s)),
    Column("wait_us", _INT, "The microseconds of it.", lambda x: of_second(x.waited_s)),
    Column("close_needed", _INT, "1: closed when it is given back.", lambda x: int(x.is_outdated)),
    Column("ptr", _TEXT, "Names the connection.", lambda x: f"{x.type}{x.id}"),
    Column(
        "link",
        _TEXT,
        "The `ptr` of what it is connected with now; empty: nothing.",
        lambda x: f"{'S' if x.type == 'C' else 'C'}{x.other_id}" if x.other_id else "",
    ),
    Column("remote_pid", _INT, "The process id of the server connection; 0: none.", lambda x: x.remote_pid),
    Column("tls", _TEXT, "Version and cipher; empty: not encrypted.", lambda x: x.info.tls),
    Column("application_name", _TEXT, "What the client calls itself.", lambda x: x.application_name),
    Column("prepared_statements", _INT, "How many it has.", lambda x: x.info.prepared),
    Column(
        "state_seconds",
        _FLOAT,
        "Seconds since its state began, or its last request.",
        lambda x: round(x.info.state_s, 3),
    ),
)
_OF_CLIENT: Final[tuple[Column[Link], ...]] = (
    Column(
        "idle_in_transaction_seconds",
        _FLOAT,
        "Seconds that the server has waited for the client inside a transaction.",
        lambda x: round(x.idle_in_transaction_s, 3),
    ),
    Column("pins", _TEXT, "Why it keeps its server connection; see SHOW PINS.", lambda x: x.pins),
)
_ID: Final[Column[Link]] = Column("id", _INT, "Its number; of a client what KILL CLIENT takes.", lambda x: x.id)

CLIENTS: Final[Table[Link]] = Table("CLIENTS", "One row per client.", (*_COMMON, *_OF_CLIENT, _ID))
SERVERS: Final[Table[Link]] = Table("SERVERS", "One row per server connection.", (*_COMMON, _ID))
SOCKETS: Final[Table[Link]] = Table(
    "SOCKETS", "Clients and server connections in one table.", (*_COMMON, *_OF_CLIENT, _ID)
)

PINS: Final[Table[PinInfo]] = Table(
    "PINS",
    "One row per reason why a session keeps its server connection outside transactions.",
    (
        Column("database", _TEXT, "As clients name it.", lambda p: p.database),
        Column("user", _TEXT, "Who is logged in.", lambda p: p.user),
        Column("client_id", _INT, "Whose session: `id` of SHOW CLIENTS.", lambda p: p.client_id),
        Column("application_name", _TEXT, "What the client calls itself.", lambda p: p.application_name),
        Column("reason", _TEXT, "What ties it to the connection.", lambda p: p.reason),
        Column(
            "statement",
            _TEXT,
            "What brought it about, cut after 1,000 characters.",
            lambda p: p.statement[:_MAX_STATEMENT],
        ),
        Column("server_pid", _INT, "The process id of the server connection.", lambda p: p.server_pid),
        Column("held_seconds", _FLOAT, "Seconds that the session has had the connection.", lambda p: round(p.age_s, 3)),
    ),
)
