"""What is known about a client of the pool (values)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.session.engine import SessionEngine

__all__ = ["Cancelable", "Cancels", "ClientLogin", "Seen"]


class Cancelable(Protocol):
    """Something that does what a client asked for."""

    def cancel(self, on_done: Callable[[], None]) -> None:
        """Cancel it; ``on_done`` is called when nothing later can be hit."""


Cancels: TypeAlias = "dict[tuple[int, bytes], Cancelable]"
"""Who is meant by the process id and key of a CancelRequest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLogin:
    """Who has logged in, and to what."""

    session_id: int
    user: str
    database: str
    """As the client named it."""
    key: tuple[int, bytes]
    """Process id and secret of its CancelRequest."""
    tenant: str = ""
    """With whom it shares its fair part of the pool."""


class Seen(NamedTuple):
    """What ``inspect`` looks at."""

    transport: asyncio.Transport
    engine: SessionEngine
    server: ServerConnection | None
    is_queued: bool
