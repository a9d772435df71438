"""SHOW VERSION, HELP, CONFIG, USERS, LISTS and MEM (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.commands import HELP, Help
from longshore.pool.admin.table import Column, Table
from longshore.pool.admin.values import Type
from longshore.pool.inspection.model import ClientState, ServerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.inspection.model import Snapshot

__all__ = [
    "CONFIG",
    "HELP_TABLE",
    "LISTS",
    "MEM",
    "USERS",
    "VERSION",
    "ConfigItem",
    "MemoryItem",
    "help_lines",
    "list_items",
]

_TEXT, _INT = Type.TEXT, Type.INT8


@dataclass(frozen=True, slots=True)
class ConfigItem:
    """One value of the configuration; never a secret."""

    key: str
    value: str
    default: str
    is_changeable: bool = False
    """By RELOAD, or by SET."""


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """What takes memory."""

    name: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Item:
    """One row of LISTS."""

    name: str
    count: int


VERSION: Final[Table[str]] = Table(
    "VERSION", "Which Longshore this is.", (Column("version", _TEXT, "Name and number.", lambda v: f"Longshore {v}"),)
)
HELP_TABLE: Final[Table[Help]] = Table(
    "HELP",
    "The commands.",
    (
        Column("command", _TEXT, "How it is written.", lambda h: h.command),
        Column("what", _TEXT, "What it does.", lambda h: h.what),
    ),
)
CONFIG: Final[Table[ConfigItem]] = Table(
    "CONFIG",
    "The configuration in force; secrets are left out.",
    (
        Column("key", _TEXT, "Where it stands in the configuration file.", lambda c: c.key),
        Column("value", _TEXT, "What is in force.", lambda c: c.value),
        Column("default", _TEXT, "What it is when nothing is said.", lambda c: c.default),
        Column(
            "changeable",
            _TEXT,
            "`yes`: without a restart, by RELOAD or SET.",
            lambda c: "yes" if c.is_changeable else "no",
        ),
    ),
)
USERS: Final[Table[str]] = Table(
    "USERS",
    "Who may log in, as far as the users are listed.",
    (
        Column("name", _TEXT, "The user.", lambda name: name),
        Column("pool_mode", _TEXT, "Always NULL: the database decides.", lambda _: None),
    ),
)
LISTS: Final[Table[Item]] = Table(
    "LISTS",
    "How many there are of what.",
    (
        Column("list", _TEXT, "Of what.", lambda i: i.name),
        Column("items", _INT, "How many.", lambda i: i.count),
    ),
)
MEM: Final[Table[MemoryItem]] = Table(
    "MEM",
    "What takes memory.",
    (
        Column(
            "name",
            _TEXT,
            "`process`: all of it. `sessions`, `prepared_statements`, `cache`: how many of them.",
            lambda m: m.name,
        ),
        Column("count", _INT, "How many.", lambda m: m.count),
        Column("memtotal", _INT, "Bytes; 0 where they are only known as part of the process.", lambda m: m.size_bytes),
    ),
)


def help_lines(tables: Iterable[Table[object]]) -> list[Help]:
    """Return the rows of HELP."""
    return [Help(f"SHOW {table.name}", table.what) for table in tables] + list(HELP)


def list_items(seen: Snapshot, users: int) -> list[Item]:
    """Return the rows of LISTS, with PgBouncer's names."""
    used = sum(server.state in (ServerState.ACTIVE, ServerState.TESTED) for server in seen.servers)
    login = sum(server.state is ServerState.LOGIN for server in seen.servers)
    waiting = sum(client.state is ClientState.WAITING for client in seen.clients)
    return [
        Item("databases", len(seen.databases)),
        Item("users", users),
        Item("pools", len(seen.pools)),
        Item("free_clients", 0),
        Item("used_clients", len(seen.clients)),
        Item("login_clients", 0),
        Item("free_servers", len(seen.servers) - used - login),
        Item("used_servers", used),
        Item("waiting_clients", waiting),
        Item("login_servers", login),
        Item("pins", len(seen.pins)),
    ]
