"""A worker behind the real server, on a port of its own."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.server import WorkerServer
from tests.runtime.worker.driver import Recorder, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from longshore.runtime.worker.app import WorkerApp

__all__ = ["Served", "serving"]


class Served:
    """Where the worker is."""

    def __init__(self, app: WorkerApp, recorder: Recorder, port: int) -> None:
        self.app = app
        self.recorder = recorder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def serving(folder: Path, source: str, **options: Any) -> AsyncIterator[Served]:
    """Serve a worker until the end of the block; then drain it."""
    app, recorder = make_app(folder, source, **options)
    listening = socket.create_server(("127.0.0.1", 0))
    server = WorkerServer(app, [listening])
    try:
        await server.start()
        yield Served(app, recorder, listening.getsockname()[1])
        await server.stop_accepting(is_last=True)
        server.drain(None)
        await app.drain(10)
        await server.wait_empty()
        await server.shutdown()
    finally:
        server.close()
