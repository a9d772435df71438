"""What all sessions of a pool share (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.session.prepared import StatementNames
from longshore.pool.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.cache.pool_cache import PoolCache
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.session.server_memory import ServerMemory

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
        self.statistics = Statistics()
        self.on_pin = on_pin
        self.is_session_mode = False
        """A session keeps its server connection until its client leaves, see ``Mode``."""
        self.shares_listening = False
        """One connection listens for all sessions, see ``Listening``."""
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
        self.changing = 0
        """Connections on which a statement may be about to change the catalogue; ``epoch`` grows when it is over."""
        self.catalogue: Catalogue | None = None
        """The last state of the database's catalogue that was read; see ``known_catalogue``."""
        self.cache: PoolCache | None = None
        """Where sessions ask before they ask for a server connection; set before the first session begins.

        With a cache every write has to be noted: by ``SessionEngine``, or by ``LanePass`` in the fast lane.
        """
        self.on_catalogue_wanted: Callable[[], None] = lambda: None
        """Is told when somebody would have used ``known_catalogue``, and there was none."""

    def begin_change(self, server: ServerMemory) -> None:
        """Note that a statement may change the catalogue."""
        if not server.is_changing:
            server.is_changing = True
            self.changing += 1

    def end_change(self, server: ServerMemory) -> None:
        """Note that whatever it did can be seen by others now."""
        if server.is_changing:
            server.is_changing = False
            self.changing -= 1
            self.epoch += 1

    def known_catalogue(self) -> Catalogue | None:
        """Return the state of the catalogue that holds now; None where it is not known: then nothing may be assumed."""
        catalogue = self.catalogue
        if catalogue is not None and catalogue.epoch == self.epoch:
            catalogue.is_used = True
            return catalogue
        self.on_catalogue_wanted()
        return None
