"""Whoever has a server connection (interfaces)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Holder", "Lane"]


class Holder(Protocol):
    """Whoever has the connection."""

    def server_received(self, events: list[FrameEvent]) -> None:
        """Take messages."""

    def server_lost(self, error: ErrorResponse | None) -> None:
        """It is gone."""

    def pause_reading(self) -> None:
        """The server does not take more now."""

    def resume_reading(self) -> None:
        """It does again."""


class Lane(Protocol):
    """Whoever has something in the fast lane."""

    def lane_reply(self, data: bytes) -> bool:
        """Take what the server says; False: it is for the holder, as messages."""
