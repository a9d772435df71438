"""Everything clients are let in with (values)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from longshore.pool.clients.authentication import Authentication

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.clients.tls import ClientTls
    from longshore.pool.pools import Pools
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.startup import ClientStarted

__all__ = ["AdminDoor", "ClientDoor", "RefusedLogin"]

_LOGIN_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLogin:
    """A client that was not let in."""

    address: str
    """``127.0.0.1:40000``, or ``unix``."""
    user: str
    """Empty: it did not come so far."""
    database: str
    error: ErrorResponse
    """What it was told."""
    reason: str = ""
    """What only the operator is told."""


class TakesOver(Protocol):
    """A protocol for the rest of a connection."""

    def take_over(self, rest: bytes) -> None:
        """Become the protocol of the transport; ``rest`` came behind the login."""


class AdminDoor(Protocol):
    """The way into the admin database."""

    def answers(self, database: str) -> bool:
        """Return whether this is the name of the admin database."""

    def refusal(self, user: str) -> ErrorResponse | None:
        """Return what to tell a user who may not even look; he has proved who he is."""

    def open(self, started: ClientStarted, transport: asyncio.Transport) -> TakesOver:
        """Return the protocol of a connection whose client has been told AuthenticationOk, and nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDoor:
    """Everything clients are let in with: one per listening socket."""

    pools: Pools
    authentication: Authentication = field(default_factory=Authentication)
    tls: ClientTls | None = None
    admin: AdminDoor | None = None
    login_timeout_s: float = _LOGIN_TIMEOUT_S
    """For start-up packet, TLS and authentication together."""
    tenant: str = ""
    """With whom the clients of this door share their fair part of a pool, and the results that it keeps."""
    on_login: Callable[[ClientConnection], None] = lambda _: None
    """Is told of everyone who was let in."""
    on_refused: Callable[[RefusedLogin], None] = lambda _: None
    """Is told of everyone who was not."""
    on_foreign_cancel: Callable[[int, bytes, Callable[[], None]], None] = lambda _, __, on_done: on_done()
    """Takes a CancelRequest for a client that is not of ``pools``: it may be of another process."""
