"""What all sessions of a pool share (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.prepared import StatementNames

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PoolShared"]


class PoolShared:
    """What all sessions of a pool share.

    Args:
        login: the account with which the pool logs in.
        on_pin: is told of every pin: the session, the reason, the statement that caused it.
    """

    def __init__(self, login: str, on_pin: Callable[[int, str, str], None]) -> None:
        self.login = login
        self.names = StatementNames()
        self.on_pin = on_pin
        self.max_prepared = 500
        """Statements of the extended protocol on one server connection."""
        self.on_database_wanted: Callable[[str], None] = lambda _: None
        """Is told the name of a database that a statement drops, renames or copies: nobody may be connected to it."""
        self.notifiers: dict[int, int] = {}
        """Which client (by the process id that it was told) said NOTIFY last, by process id of the server."""
        self.dotted_names: set[str] = set()
        """Parameters that no catalogue lists, because nobody has declared them; as far as a text has named them."""
        self.scanned_epoch = -1
        """When the code in the database was last searched for such names."""
        self.epoch = 0
        """Grows when a statement may have changed the catalogue: what is parsed later may mean something else."""
