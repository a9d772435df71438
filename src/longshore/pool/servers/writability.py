"""Whether a server takes writes: ``target_session_attrs=read-write`` (PURE; libpq: fe-connect.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.backend_messages import DataRow
from longshore.proto.postgres.frontend_messages import Query
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.proto.postgres.backend_messages import BackendMessage

__all__ = ["READ_ONLY_QUERY", "Writability"]

READ_ONLY_QUERY: Final = serialize(Query(b"SHOW transaction_read_only"))
_REPORTED: Final = (b"default_transaction_read_only", b"in_hot_standby")
"""By PostgreSQL 14 and later, with every login."""


class Writability:
    """What is known of one server."""

    def __init__(self) -> None:
        self._answer: bytes | None = None

    def receive(self, message: BackendMessage) -> None:
        """Take an answer to ``READ_ONLY_QUERY``."""
        if isinstance(message, DataRow) and message.values:
            self._answer = message.values[0]

    def judge(self, parameters: Mapping[bytes, bytes]) -> bool | None:
        """Return whether it takes writes; None: ask ``READ_ONLY_QUERY``."""
        if self._answer is not None:
            return self._answer == b"off"
        if all(name in parameters for name in _REPORTED):
            return all(parameters[name] == b"off" for name in _REPORTED)
        return None
