"""``longshore pool`` as a process, and clients of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import psycopg

from tests.cli.launched import launched
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from tests.cli.launched import Launched

__all__ = ["PoolLauncher"]


class PoolLauncher:
    """Writes ``pool.toml`` and runs pools with it.

    Args:
        folder: of the file.
        upstream_port: of PostgreSQL.
        stack: ends what was launched.
    """

    def __init__(self, folder: Path, upstream_port: int, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.upstream_port = upstream_port
        self.url = f"postgres://postgres@{HOST}:{upstream_port}/postgres"
        self.port = free_port()
        self.file = folder / "pool.toml"
        self._stack = stack
        self.write()

    def write(self, pool: str = "", database: str = "size = 5", rest: str = "") -> None:
        """Write the file: lines for ``[pool]`` and for its one database, and what stands behind them."""
        self.file.write_text(
            f'[pool]\nlisten = ["{HOST}:{self.port}"]\ncontrol = "control.sock"\n{pool}\n'
            f'[databases.postgres]\nurl = "{self.url}"\n{database}\n{rest}\n'
        )

    def launch(self, *options: str) -> Launched:
        """Run ``longshore pool`` with these options instead of the file's."""
        return self._stack.enter_context(launched("pool", *options, cwd=self.folder))

    def start(self, *options: str, ready: str = r"listening at .*") -> Launched:
        """Run it with the file, and wait until it is ready."""
        running = self.launch("--config", "pool.toml", *options)
        running.wait_for(ready)
        return running

    def connect(self, user: str = "postgres", **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Log in to the pool."""
        options = {"host": HOST, "port": self.port, "dbname": "postgres", **options}
        connection = psycopg.connect(user=user, autocommit=True, **options)
        self._stack.callback(connection.close)
        return connection

    @staticmethod
    def events(running: Launched) -> list[dict[str, Any]]:
        """Return what a pool with a log for machines has said so far."""
        return [json.loads(line) for line in running.seen if re.match(r"\{", line)]
