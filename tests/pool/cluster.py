"""A PostgreSQL of one test, which it may stop, start and stall."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fix_postgres import AUTHENTICATION_OK, STARTUP, USER, make_cluster
from tests.server_process import HOST, free_port, require_program, running, says, server_directory

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

__all__ = ["Cluster", "cluster"]


class Cluster:
    """One.

    Attributes:
        port: where it listens.
    """

    def __init__(self, postgres: str, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._running = ExitStack()
        values = {"listen_addresses": HOST, "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        self._command = [postgres, "-D", directory / "data"]
        for name, value in values.items():
            self._command += ["-c", f"{name}={value}"]

    def start(self) -> None:
        """Start it; returns when it answers."""
        is_ready = partial(says, self.port, AUTHENTICATION_OK, after=STARTUP)
        server = running(self._command, is_ready, user=USER, directory=self._directory, stop_signal=signal.SIGINT)
        self._process = self._running.enter_context(server)

    def stop(self) -> None:
        """End it and every connection."""
        self._running.close()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield a running one."""
    postgres = require_program("postgres")
    with server_directory("postgres", USER) as directory:
        make_cluster(Path(postgres).with_name("initdb"), directory)
        server = Cluster(postgres, directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
