"""A zygote whose workers are a few lines of these tests instead of the platform's."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.runtime.host.zygote_process import ZygoteProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.runtime.host.zygote_process import ZygoteEvent

__all__ = ["Zygote", "running_zygote", "zygote_command"]

PROGRAM = """
import os, signal, socket, subprocess, sys, threading
from longshore.net.channel import SyncChannel
from longshore.runtime.zygote import run_zygote

def tell(control, *values):
    control.sendall(repr(values).encode() + b"\\n")

def run_worker(control, egress):
{worker}

sys.exit(run_zygote(SyncChannel(socket.socket(fileno=int(sys.argv[1]))), lambda: None, run_worker))
"""


def zygote_command(worker: str) -> list[str]:
    """Return the command of a zygote whose workers run these lines with ``control``, their socket."""
    indented = "\n".join(f"    {line}" for line in worker.strip().splitlines())
    return [sys.executable, "-c", PROGRAM.format(worker=indented)]


class Zygote:
    """A running zygote and what it said."""

    def __init__(self, worker: str) -> None:
        self.events: asyncio.Queue[ZygoteEvent | None] = asyncio.Queue()
        self.process = ZygoteProcess(
            self.events.put_nowait, lambda: self.events.put_nowait(None), command=zygote_command(worker)
        )


@asynccontextmanager
async def running_zygote(worker: str) -> AsyncIterator[Zygote]:
    """Give a zygote that is ready."""
    zygote = Zygote(worker)
    try:
        ready = await zygote.events.get()
        assert ready is not None
        yield zygote
    finally:
        await zygote.process.close()
