"""Passes idle connections of a worker that is replaced on to those that serve (shell)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from longshore.proto.ipc.messages import Adopt

if TYPE_CHECKING:
    from longshore.runtime.host.worker_link import WorkerLink

__all__ = ["HandOverDesk"]


class HandOverDesk:
    """Who takes over an idle keep-alive connection: the serving workers, one after the other.

    While nobody serves, connections are kept: the client sees an answer that takes longer, and no closed connection.
    """

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._turn = 0

    def pass_on(self, fds: list[int], serving: list[WorkerLink]) -> None:
        """Give connections to the serving workers, or keep them. The descriptors belong to the desk from now on."""
        if not serving:
            self._kept += fds
            return
        for fd in fds:
            self._turn += 1
            serving[self._turn % len(serving)].send(Adopt(), [fd])
            os.close(fd)  # a duplicate is on its way

    def release(self, serving: list[WorkerLink]) -> None:
        """Give away what was kept, now that there is somebody to take it."""
        kept, self._kept = self._kept, []
        self.pass_on(kept, serving)

    def close(self) -> None:
        """Close what was kept: the host stops."""
        for fd in self._kept:
            os.close(fd)
        self._kept.clear()
