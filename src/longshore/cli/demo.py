"""``longshore demo``: a worker, a real PostgreSQL, one right answer; everything is removed in the end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
from rich.table import Table
from rich.text import Text

from longshore.aio.tasks import spawn
from longshore.cli.console import CommandFailed, make_console, speaks_unicode
from longshore.cli.dev import DRAIN_TIMEOUT_S, DevSession
from longshore.cli.exit_codes import FAILED, OK
from longshore.cli.template import TEMPLATES, project_files
from longshore.cli.words import duration
from longshore.config.load import load_config
from longshore.core.shown import shown
from longshore.embedded import PostgresUnavailable, running_postgres
from longshore.runtime.host import events
from longshore.runtime.host.options import HostOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.status import Status

    from longshore.config.model import WorkerConfig
    from longshore.embedded import PostgresServer

__all__ = ["demo"]

TEMPLATE: Final = "postgres"
DATABASE: Final = "shop"
HINT: Final = 'pip install "longshore[workers,demo]"'
ANSWER_LIMIT_S: Final = 30.0


def demo(*, once: bool, port: int) -> int:
    """Run the demo until it is stopped; return the exit code.

    Args:
        once: end after the first answer, with 0 when it is right.
        port: of the worker; 0 for any free one.

    Raises:
        CommandFailed: a part of it is not installed or does not start.
    """
    if importlib.util.find_spec("asyncpg") is None:
        raise CommandFailed("the demo's driver asyncpg is not installed", hint=HINT)
    console = make_console()
    try:
        with _ended_by_signals() as arm:
            return _run(console, arm, once=once, port=port)
    except (PostgresUnavailable, PermissionError) as exc:
        raise CommandFailed(str(exc)) from exc
    finally:
        console.print(Text("Everything is removed.", style="dim"))


def _run(console: Console, arm: Callable[[], None], *, once: bool, port: int) -> int:
    files = project_files(TEMPLATES[TEMPLATE], DATABASE)
    with _Steps(console) as steps, tempfile.TemporaryDirectory(prefix="longshore-demo-") as folder:
        with running_postgres(sql=files["schema.sql"], database=DATABASE, say=steps.begin) as server:
            steps.begin("worker")
            code = _Demo(console, steps, server, Path(folder), once=once).run(files, port)
            # The host had the signals to itself, and left them to the system.
            arm()
        return code


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """Let SIGTERM and SIGHUP leave the block as Ctrl-C does, so that all is cleaned up; yield what says so anew."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def arm() -> None:
        for number in numbers:
            signal.signal(number, leave)

    former = {number: signal.getsignal(number) for number in numbers}
    arm()
    try:
        yield arm
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Steps:
    """Shows what is being done, and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done = "✓" if speaks_unicode(console) else "*"
        self._current: tuple[str, float] | None = None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        self._console.print(Text("A worker that asks a real PostgreSQL\n", style="bold"))
        return self

    def __exit__(self, *_: object) -> None:
        self._still()

    def begin(self, name: str) -> None:
        """End the step before and show the next one."""
        self.end()
        self._current = (name, time.monotonic())
        if self._console.is_terminal:
            self._status = self._console.status(f"  {name}")
            self._status.start()

    def end(self) -> None:
        """Show that the step is done."""
        self._still()
        if self._current is not None:
            name, begin = self._current
            took = duration(time.monotonic() - begin)
            self._console.print(Text.assemble((f"  {self._done} ", "bold green"), f"{name:<20}", (took, "dim")))
            self._current = None

    def _still(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Demo:
    def __init__(self, console: Console, steps: _Steps, server: PostgresServer, folder: Path, *, once: bool) -> None:
        self._console = console
        self._steps = steps
        self._server = server
        self._folder = folder
        self._once = once
        self._is_asked = False
        self._is_right = False

    def run(self, files: dict[str, str], port: int) -> int:
        """Write the project, run it, return the exit code."""
        for name in ("src/entry.py", "longshore.toml"):
            target = self._folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_text(files[name], encoding="utf-8")
        options = HostOptions(
            port=port,
            is_dev=True,
            watch=not self._once,
            load=self._load,
            fires_crons=False,
            drain_timeout_s=DRAIN_TIMEOUT_S,
            log_connections=True,
        )
        self._session = DevSession(self._load(), options, self._console, self._take, greets=False)
        code = asyncio.run(self._session.run())
        if code != OK or self._is_right:
            return code
        return FAILED if self._once or self._is_asked else OK

    def _load(self) -> WorkerConfig:
        variables = {**os.environ, "LONGSHORE_HYPERDRIVE_DB": self._server.url}
        return load_config(self._folder / "longshore.toml", cwd=self._folder, is_dev=True, variables=variables)

    def _take(self, event: events.HostEvent) -> None:
        if self._is_asked:
            return
        if isinstance(event, events.BootFailure):
            # Nobody will repair the demo's own code.
            self._is_asked = True
            self._session.supervisor.stop()
        elif isinstance(event, events.WorkerReady):
            self._is_asked = True
            self._steps.end()
            spawn(self._ask(self._session.supervisor.urls[0]), name="ask the demo worker")

    async def _ask(self, url: str) -> None:
        """Ask the worker, show the answer, and end if that is all that was wanted."""
        try:
            rows = await self._answer(url)
        except (httpx.HTTPError, ValueError, OSError, subprocess.SubprocessError) as exc:
            self._console.print(Text.assemble(("error: ", "bold red"), f"the worker gave no right answer: {exc}"))
            self._session.supervisor.stop()
            return
        self._is_right = True
        self._show(rows, url)
        if self._once:
            self._session.supervisor.stop()
        else:
            self._tell(url)

    async def _answer(self, url: str) -> list[dict[str, Any]]:
        """Return what the worker answers.

        Raises:
            ValueError: it is not what the table holds.
        """
        # No proxy of the environment: the worker is on this machine.
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_LIMIT_S) as client:
            response = await client.get(url)
        rows: list[dict[str, Any]] = response.raise_for_status().json()
        if rows != await asyncio.to_thread(self._rows):
            raise ValueError(f"{shown(rows)} is not what the table holds")
        return rows

    def _rows(self) -> Any:
        """Return what the table holds, as psql says."""
        query = "SELECT json_agg(customers) FROM customers"
        environment = {**os.environ, "PGCLIENTENCODING": "UTF8"}
        command = [str(self._server.psql), self._server.url, "-X", "-A", "-t", "-c", query]
        done = subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - the wheel's psql
        return json.loads(done.stdout)

    def _show(self, rows: list[dict[str, Any]], url: str) -> None:
        self._console.print(
            Text.assemble("\n", (f"GET {url}", "bold"), " answers from ", ("SELECT * FROM customers", "bold"))
        )
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in rows[0]:
            table.add_column(name)
        for row in rows:
            table.add_row(*(Text(str(value)) for value in row.values()))
        self._console.print(table)

    def _tell(self, url: str) -> None:
        psql = "psql" if shutil.which("psql") else str(self._server.psql)
        lines = (
            ("ask it yourself", f"curl {url}"),
            ("add a customer", f"{psql} {self._server.url}"),
            ("change the worker", f"{self._folder / 'src' / 'entry.py'}  (it reloads)"),
            ("make it yours", f"longshore init {DATABASE} --template {TEMPLATE}"),
        )
        self._console.print(Text("\nLook further", style="bold"))
        for what, command in lines:
            self._console.print(Text.assemble((f"  {what:<20}", "dim"), command))
        self._console.print(Text("\nRuns until Ctrl-C.\n", style="dim"))
        self._session.show_keys()
