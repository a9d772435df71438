"""The two ends of a worker's control channel, without the worker."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.net.channel import SyncChannel
from longshore.runtime.host.worker_link import WorkerLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.proto.ipc.messages import Message

__all__ = ["Told", "linked"]

Told = list[tuple[int, "Message | None", list[int]]]
"""Worker, message (None: not to be understood), descriptors."""


@asynccontextmanager
async def linked(worker_id: int = 1, told: Told | None = None) -> AsyncIterator[tuple[WorkerLink, SyncChannel]]:
    """Give the host's end, and the worker's end for blocking use; what the host's end is told goes to ``told``."""
    told = [] if told is None else told
    mine, its = socket.socketpair()
    link = WorkerLink(
        worker_id,
        1,
        mine,
        lambda worker, message, fds: told.append((worker.worker_id, message, fds)),
        lambda worker: told.append((worker.worker_id, None, [])),
    )
    worker = SyncChannel(its)
    try:
        yield link, worker
    finally:
        worker.close()
        await link.ended()
