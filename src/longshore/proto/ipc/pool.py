"""What is said to and by the pool process, which keeps the connections to databases of ``[[hyperdrive]]`` (PURE).

It has two channels: one with the host (``PoolHostMessage`` down, ``PoolEvent`` up), and one with the egress process
(``PoolAsk`` up from the pool, ``PoolOrder`` down to it), through which its clients come and its connections to servers.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec

from longshore.proto.ipc.base import IpcMessage
from longshore.proto.ipc.failure import Failure  # noqa: TC001 - msgspec reads the annotation

__all__ = [
    "HANDLE_PREFIX",
    "AddDatabases",
    "AttachEgress",
    "AttachPool",
    "CancelServerDial",
    "DefineDatabase",
    "DialServer",
    "EgressLost",
    "PoolAsk",
    "PoolClient",
    "PoolDatabase",
    "PoolEvent",
    "PoolHostMessage",
    "PoolMessage",
    "PoolOrder",
    "PoolReady",
    "PooledDatabase",
    "RemoveDatabases",
    "ServerDialFailed",
    "ServerDialed",
    "is_handle",
]

HANDLE_PREFIX: Final = "longshore_"
"""Of the user names that ``env.DB.get(…)`` gives."""
_HANDLE: Final = re.compile(HANDLE_PREFIX + "[0-9a-f]{16,64}")


def is_handle(user: str) -> bool:
    """Say whether a user name is one of ``env.DB.get(…)``, and not that of an account, like ``longshore_app``."""
    return _HANDLE.fullmatch(user) is not None


# --- commands: host to pool process ---------------------------------------------------------------------------------


class AttachEgress(IpcMessage, frozen=True, kw_only=True):
    """A channel to the egress process comes with it (one descriptor), instead of the one before."""

    number: int = 0
    """What ``EgressLost`` calls it."""


class PooledDatabase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A binding, with what the pool logs in with."""

    binding: str
    connection_string: str
    mode: str = "transaction"
    origin_connection_limit: int = 20
    is_cached: bool = True
    max_age_s: float = 60.0
    stale_while_revalidate_s: float = 15.0
    sslmode: str | None = None
    """None: what the connection string says."""
    ca: str | None = None
    """Certificates in PEM form, trusted instead of the system's."""
    certificate: str | None = None
    """Ours, with its chain, in PEM form."""
    key: str | None = None


class AddDatabases(IpcMessage, frozen=True, kw_only=True):
    """A worker process begins.

    Its descriptors are listening sockets, one for each database in order, or none: then its clients come through the
    egress process only.
    """

    worker_id: int
    worker: str
    """Its name: worker processes of one name share server connections and cached results."""
    token: str
    """The password of this worker process."""
    rules: str = ""
    """Where it may connect, in a form that is equal for equal rules: who shares connections to what it names itself."""
    databases: tuple[PooledDatabase, ...]


class RemoveDatabases(IpcMessage, frozen=True, kw_only=True):
    """A worker process is gone."""

    worker_id: int


# --- events: pool process to host -----------------------------------------------------------------------------------


class PoolReady(IpcMessage, frozen=True, kw_only=True):
    """Everything is imported."""

    pid: int


class EgressLost(IpcMessage, frozen=True, kw_only=True):
    """The channel to the egress process ended: that process did, or it had too many open files to go on with it."""

    number: int


# --- host to egress process -----------------------------------------------------------------------------------------


class AttachPool(IpcMessage, frozen=True, kw_only=True):
    """A channel to the pool process comes with it (one descriptor), instead of the one before."""


# --- worker to egress process, which passes it on -------------------------------------------------------------------


class DefineDatabase(IpcMessage, frozen=True, kw_only=True):
    """What a user name stands for that logs in at the pool from now on: ``env.DB.get(…)``."""

    binding: str
    handle: str
    """The user name."""
    connection_string: str
    is_cached: bool = True
    max_connections: int = 0
    """0: as of the binding."""


# --- orders: egress process to pool process -------------------------------------------------------------------------


class PoolClient(IpcMessage, frozen=True, kw_only=True):
    """A worker has connected (one descriptor)."""

    worker_id: int
    binding: str


class PoolDatabase(IpcMessage, frozen=True, kw_only=True):
    """A worker has said ``DefineDatabase``."""

    worker_id: int
    definition: DefineDatabase


class ServerDialed(IpcMessage, frozen=True, kw_only=True):
    """A connection to a server (one descriptor)."""

    dial_id: int


class ServerDialFailed(IpcMessage, frozen=True, kw_only=True):
    """There is no connection."""

    dial_id: int
    failure: Failure


# --- asks: pool process to egress process ---------------------------------------------------------------------------


class DialServer(IpcMessage, frozen=True, kw_only=True):
    """Connect to a server; ``ServerDialed`` or ``ServerDialFailed`` follows."""

    dial_id: int
    worker_id: int
    """On whose behalf."""
    binding: str
    address: str
    """``host:port``."""
    is_declared: bool
    """True: the configuration says this address, which is permission enough. False: the worker said it, and its rules
    decide."""


class CancelServerDial(IpcMessage, frozen=True, kw_only=True):
    """Nobody waits for this any more. If the answer is on its way, the pool closes what it brings."""

    dial_id: int


PoolHostMessage: TypeAlias = AttachEgress | AddDatabases | RemoveDatabases | AttachPool
PoolEvent: TypeAlias = PoolReady | EgressLost
PoolOrder: TypeAlias = PoolClient | PoolDatabase | ServerDialed | ServerDialFailed
PoolAsk: TypeAlias = DialServer | CancelServerDial
PoolMessage: TypeAlias = PoolHostMessage | PoolEvent | PoolOrder | PoolAsk | DefineDatabase
