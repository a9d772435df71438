"""``longshore pool top``: the pools, live in a terminal or once as a table or JSON."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import getpass
import json
import os
import signal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

import typer
from rich.live import Live

from longshore.cli.console import CommandFailed, make_console
from longshore.cli.exit_codes import USAGE
from longshore.cli.hotkeys import can_read_keys, reading_keys
from longshore.cli.top_figures import COMMANDS, Sample, pool_figures
from longshore.cli.top_screen import TopState, draw, draw_table, items_of
from longshore.config.document import Document
from longshore.config.errors import ConfigError
from longshore.config.positions import Positions
from longshore.config.report import Report
from longshore.pool.admin.client import AdminClient, AdminFailed
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.target_url import parse_target_url
from longshore.pool.standalone.load import Files
from longshore.pool.standalone.resolve import Fetch
from longshore.pool.standalone.resolve_target import target_of_url

if TYPE_CHECKING:
    from rich.console import Console

    from longshore.pool.servers.target import Target

__all__ = ["run_top"]

_DEFAULT_PLACE: Final = "127.0.0.1:6432/longshore"
_HINT: Final = "give its URL: longshore pool top postgres://admin:password@127.0.0.1:6432/longshore"
_WIDE: Final = 400
"""Of what goes into a file: everything."""
_WINDOW_S: Final = 1.0
"""Over so long are the rates of ``--once``."""


def run_top(url: str | None, *, interval_s: float, is_once: bool, is_json: bool) -> None:
    """Show the pools until somebody says q.

    Args:
        url: of the admin database; None: of the pool on this machine.
        interval_s: how often it is looked.
        is_once: print one table and end; without a terminal it is so anyway.
        is_json: print JSON, once.

    Raises:
        CommandFailed: the admin database does not let us in, or is gone.
    """
    console = make_console()
    target = _target(url)
    try:
        if is_once or is_json or not can_read_keys():
            asyncio.run(_once(target, console, is_json=is_json))
        else:
            asyncio.run(_live(target, console, interval_s))
    except LoginFailed as exc:
        raise CommandFailed(f"no admin database at {_shown(target)}: {exc}", hint=_HINT) from exc
    except AdminFailed as exc:
        raise CommandFailed(str(exc), hint=exc.hint) from exc


def _target(url: str | None) -> Target:
    """Return where the admin database is.

    Raises:
        CommandFailed: the URL does not say so.
    """
    report = Report(Document("", (), {}, Positions()))
    try:
        parsed = parse_target_url(url or f"postgres://{getpass.getuser()}@{_DEFAULT_PLACE}")
        target = target_of_url(parsed, Fetch(Files(Path(), dict(os.environ)), report), ())
    except (ValueError, ConfigError) as exc:
        raise CommandFailed(f"that is no URL of an admin database: {exc}", USAGE, hint=_HINT) from exc
    if report.problems:
        raise CommandFailed(report.problems[0].message, USAGE, hint=report.problems[0].hint or "")
    return target


def _shown(target: Target) -> str:
    return f"{target.host}:{target.port}/{target.database}"


async def _sample(client: AdminClient, view: str) -> Sample:
    pools = await client.ask(COMMANDS["pools"])
    rows = pools if view == "pools" else await client.ask(COMMANDS[view])
    return Sample(monotonic(), pools, rows)


async def _once(target: Target, console: Console, *, is_json: bool) -> None:
    """Print the pools, with the rates of one second."""
    client = await AdminClient.connect(target)
    try:
        before = await _sample(client, "pools")
        await asyncio.sleep(_WINDOW_S)
        now = await _sample(client, "pools")
    finally:
        client.close()
    if is_json:
        pools = [dataclasses.asdict(each) for each in pool_figures(before, now)]
        typer.echo(json.dumps({"pools": pools}, ensure_ascii=False))
        return
    if not console.is_terminal:
        console.width = _WIDE
    state = TopState()
    console.print(draw_table(state, items_of(state, before, now), console.width))


async def _live(target: Target, console: Console, interval_s: float) -> None:
    watch = _Watch(target, console, interval_s)
    loop = asyncio.get_running_loop()
    await watch.connect()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, watch.stop)
    # The terminal comes back as it was, whatever ends the block.
    with (
        Live(console=console, screen=True, auto_refresh=False, transient=True) as live,
        reading_keys(watch.press, watch.stop),
    ):
        loop.add_signal_handler(signal.SIGWINCH, watch.wake)
        await watch.run(live)


class _Watch:
    """Looks again and again.

    Args:
        target: the admin database.
        console: the terminal.
        interval_s: how often.
    """

    def __init__(self, target: Target, console: Console, interval_s: float) -> None:
        self._target = target
        self._console = console
        self._interval_s = interval_s
        self._state = TopState()
        self._client: AdminClient | None = None
        self._is_over = False
        self._wake = asyncio.Event()
        self._samples: tuple[Sample, Sample] | None = None

    async def connect(self) -> None:
        """Log in."""
        self._client = await AdminClient.connect(self._target)

    def stop(self) -> None:
        """End."""
        self._is_over = True
        self._wake.set()

    def wake(self) -> None:
        """Draw anew."""
        self._wake.set()

    def press(self, key: str) -> None:
        """Take a key."""
        if not self._state.press(key):
            self._is_over = True
        self._wake.set()

    async def run(self, live: Live) -> None:
        """Look and draw until it is over."""
        try:
            while not self._is_over:
                await self._look()
                self._draw(live)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._wake.wait()
        finally:
            if self._client is not None:
                self._client.close()

    async def _look(self) -> None:
        if self._state.is_held and self._samples is not None:
            return
        try:
            async with asyncio.timeout(max(self._interval_s, 5.0)):
                if self._client is None:
                    await self.connect()
                assert self._client is not None
                now = await _sample(self._client, self._state.view)
        except (AdminFailed, LoginFailed, TimeoutError) as exc:
            self._state.problem = f"{str(exc) or 'no answer'}; trying again"
            if self._client is not None:
                self._client.close()
                self._client = None
            return
        self._state.problem = ""
        self._samples = (self._samples[1] if self._samples is not None else now, now)

    def _draw(self, live: Live) -> None:
        if self._samples is None:
            return
        width, height = self._console.size
        before, now = self._samples
        live.update(draw(self._state, before, now, url=_shown(self._target), width=width, height=height), refresh=True)
