"""Where a worker's messages go: the control channel in a worker process, a list in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import WorkerMessage

__all__ = ["Reporter"]


class Reporter(Protocol):
    """Takes messages for the host."""

    def send(self, message: WorkerMessage) -> None:
        """Pass ``message`` on; never blocks, never raises."""
