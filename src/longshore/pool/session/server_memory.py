"""What is known about one server connection (PURE)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from longshore.pool.session.shape import Shape
from longshore.proto.postgres.relay import RelayState

if TYPE_CHECKING:
    from longshore.pool.cache.writes import PendingWrites
    from longshore.pool.session.prepared import Prepared

__all__ = ["ServerMemory"]


class ServerMemory:
    """What a server connection has from the sessions that used it.

    Args:
        server_id: of the pool.
        parameters: what it reported at its login.
        pid: of its process.
        cancel_key: to cancel what it does.
    """

    __slots__ = (
        "cancel_key",
        "cancels",
        "is_changing",
        "is_parse_left_out",
        "listens",
        "parameters",
        "pid",
        "prepared",
        "relay",
        "reusable",
        "reusable_meaning",
        "reuses",
        "sequence_owner",
        "server_id",
        "settings",
        "sql_owner",
        "sql_prepared",
        "suspect",
        "unnamed",
        "unnamed_shape",
        "writes",
    )

    def __init__(self, server_id: int, parameters: dict[bytes, bytes], pid: int = 0, cancel_key: bytes = b"") -> None:
        self.server_id = server_id
        self.parameters = parameters
        self.pid = pid
        self.cancel_key = cancel_key
        self.cancels = 0
        """Cancel requests that are on their way, and may hit whatever is done here."""
        self.is_changing = False
        """A statement here may be about to change the catalogue; see ``PoolShared.begin_change``."""
        self.listens = False
        """LISTEN was said here, and not taken back."""
        self.relay = RelayState()
        self.settings: dict[str, str] = {}
        """Parameters that differ from those after the login: name → the statement that made them."""
        self.suspect: int | None = None
        """The session whose code may have set parameters that no catalogue lists: nobody else may see them."""
        self.prepared: OrderedDict[bytes, Shape] = OrderedDict()
        """Statements of the extended protocol by their names here, the last used at the end."""
        self.sql_prepared: set[str] = set()
        """Names of statements made by SQL's PREPARE."""
        self.sql_owner: int | None = None
        """The session to which those belong."""
        self.unnamed: Prepared | None = None
        """What the unnamed statement is."""
        self.unnamed_shape = Shape()
        self.reusable: Prepared | None = None
        """The unnamed statement, when the fast lane has had it parsed: it may run again without."""
        self.reusable_meaning: tuple[object, ...] = ()
        """See ``Belongings.meaning``."""
        self.reuses = 0
        """How often it has."""
        self.is_parse_left_out = False
        """The fast lane has not sent the Parse that the engine is about to take."""
        self.writes: PendingWrites | None = None
        """What the present transaction may have written, where a cache wants to know."""
        self.sequence_owner: int | None = None
        """The last session that may have moved a sequence: to it, and nobody else, currval() tells the truth."""

    def forget_prepared(self) -> None:
        """Note that the server has no statements any more."""
        self.prepared.clear()
        self.sql_prepared.clear()
