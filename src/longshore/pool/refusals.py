"""That there is no pool for a client (PURE); the sentences are in ``failures``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["PoolRefused"]


class PoolRefused(Exception):
    """There is no pool for this client.

    Attributes:
        error: what to tell it.
        reason: for the operator, where that is not for strangers.
    """

    def __init__(self, error: ErrorResponse, reason: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.reason = reason
