"""``longshore dev``: the host's events on a screen, and the keys that speak to it."""

from __future__ import annotations

import asyncio
import contextlib
import webbrowser
from typing import TYPE_CHECKING, Final

from rich.text import Text

from longshore.aio.tasks import spawn
from longshore.cli.banner import print_banner
from longshore.cli.config_error import render_config_error
from longshore.cli.console import make_console, silence_output, speaks_unicode
from longshore.cli.egress_words import Allowing
from longshore.cli.hotkeys import ESCAPE, can_read_keys, reading_keys
from longshore.cli.render_dev import ASCII, UNICODE, DevRenderer
from longshore.cli.words import duration
from longshore.config.errors import ConfigError
from longshore.runtime.host import events
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from longshore.config.model import WorkerConfig

__all__ = ["DevSession", "dev", "joined"]

DRAIN_TIMEOUT_S: Final = 5.0
"""Whoever stops a program that is being written does not want to wait for its slowest request."""
PATIENCE_S: Final = 2.0
"""After this long without a sign, what is waited for is said."""
TEXT_BROWSERS: Final = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
"""They would take the terminal over."""
GAP: Final = Text("   ")
HELP: Final = (
    ("b", "browser"),
    ("r", "reload"),
    ("c", "clear"),
    ("t", "fire a cron"),
    ("?", "help"),
    ("x", "exit"),
)


def dev(
    load: Callable[[], WorkerConfig], *, ip: str | None, port: int | None, secret_files: tuple[str, ...] = ()
) -> int:
    """Run a worker until it is stopped; return the exit code.

    Args:
        load: loads the configuration, at first and whenever its file changes.
        ip: the address to listen on, instead of the configuration's.
        port: the port, instead of the configuration's; then no other is taken.
        secret_files: what the worker may not read although it lies in its project.

    Raises:
        ConfigError: the configuration is wrong at the start.
    """
    config = load()
    options = HostOptions(
        host=ip or config.dev.ip,
        port=config.dev.port if port is None else port,
        port_is_fixed=port is not None,
        is_dev=True,
        watch=True,
        load=load,
        fires_crons=False,
        drain_timeout_s=DRAIN_TIMEOUT_S,
        boot_timeout_s=config.serve.boot_timeout_s,
        log_connections=True,
        secret_files=secret_files,
    )
    console = make_console()
    print_banner(config, console)
    return asyncio.run(DevSession(config, options, console).run())


class DevSession:
    """One run of ``longshore dev``.

    Args:
        config: the worker.
        options: where and how it runs.
        console: where everything is shown.
        on_event: is called with each event after it was shown.
        greets: whether it says that it is ready, and which keys there are.
    """

    def __init__(
        self,
        config: WorkerConfig,
        options: HostOptions,
        console: Console,
        on_event: Callable[[events.HostEvent], None] | None = None,
        *,
        greets: bool = True,
    ) -> None:
        self._config = config
        self._console = console
        self._on_event = on_event
        self._greets = greets
        symbols = UNICODE if speaks_unicode(console) else ASCII
        self._renderer = DevRenderer(config.project_dir, symbols, Allowing.of(config))
        self._supervisor = Supervisor(config, options, self._take)
        self._has_keys = can_read_keys()
        # The crons to choose from, while the menu is open.
        self._menu: tuple[str, ...] = ()
        # What will be said if nothing happens for a while.
        self._excuse: asyncio.TimerHandle | None = None

    @property
    def supervisor(self) -> Supervisor:
        """The host that is shown."""
        return self._supervisor

    async def run(self) -> int:
        """Run the host and read keys; return the exit code."""
        with contextlib.ExitStack() as stack:
            if self._has_keys:
                stack.enter_context(reading_keys(self._press, self._supervisor.stop))
            return await self._supervisor.run()

    # --- events ---------------------------------------------------------------------------------------------------

    def _take(self, event: events.HostEvent) -> None:
        with self._screen():
            self._show(event)
            self._excuse_silence(event)
        if self._on_event is not None:
            self._on_event(event)

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        """Bear that the terminal is gone, or whoever read the output: then there is nobody left to develop for."""
        try:
            yield
        except (OSError, SystemExit):  # SystemExit: what rich makes of a broken pipe
            silence_output()
            self._console.quiet = True
            self._supervisor.stop()

    def _show(self, event: events.HostEvent) -> None:
        if isinstance(event, events.ConfigReloaded):
            self._config = event.config
        if isinstance(event, events.ConfigRejected) and isinstance(event.error, ConfigError):
            render_config_error(event.error, self._console)
            self._console.print(Text("  The former configuration stays in force.", style="dim"))
            return
        for line in self._renderer.render(event):
            self._console.print(line)
        if isinstance(event, events.WorkerReady) and self._greets and not event.is_broken:
            self._greets = False
            self._greet()

    def _excuse_silence(self, event: events.HostEvent) -> None:
        """Let nobody sit in front of a terminal that does not say what it waits for."""
        match event:
            case events.WorkerStarting():
                self._say_later("Still starting: the worker's module is being imported.")
            case events.Draining(is_hurried=False):
                limit = duration(event.timeout_s)
                self._say_later(f"Requests in flight have up to {limit} to finish; Ctrl-C ends them now.")
            case events.WorkerReady() | events.BootFailure() | events.Draining() | events.Stopped():
                self._say_later(None)

    def _say_later(self, words: str | None) -> None:
        if self._excuse is not None:
            self._excuse.cancel()
            self._excuse = None
        if words is not None:
            self._excuse = asyncio.get_running_loop().call_later(PATIENCE_S, self._say, words)

    def _say(self, words: str) -> None:
        with self._screen():
            self._console.print(Text(words, style="dim"))

    def _greet(self) -> None:
        self._console.print(Text.assemble(("Ready on ", "bold green"), (self._supervisor.urls[0], "bold underline")))
        self.show_keys()

    def show_keys(self) -> None:
        """Say which keys there are, if there are any."""
        if self._has_keys:
            for line in self._hint():
                self._console.print(line)

    def _hint(self) -> list[Text]:
        keys = [(key, what) for key, what in HELP if key != "t" or self._config.crons]
        return joined([Text.assemble((key, "bold"), (f" {what}", "dim")) for key, what in keys], self._console.width)

    # --- keys -----------------------------------------------------------------------------------------------------

    def _press(self, key: str) -> None:
        if self._menu:
            self._choose(key)
            return
        action = {
            "b": self._open_browser,
            "r": self._supervisor.reload,
            "c": self._console.clear,
            "t": self._fire,
            "?": self.show_keys,
            "h": self.show_keys,
            "x": self._supervisor.stop,
            "q": self._supervisor.stop,
            "\x03": self._supervisor.stop,
            "\x04": self._supervisor.stop,
        }.get(key.lower())
        if action is not None:
            with self._screen():
                action()

    def _fire(self) -> None:
        crons = self._config.crons
        if not crons:
            self._console.print(Text("There is no cron: add [triggers] crons to the configuration.", style="yellow"))
        elif len(crons) == 1:
            self._supervisor.fire_scheduled(crons[0])
        else:
            self._menu = crons[:9]
            for number, cron in enumerate(self._menu, 1):
                self._console.print(Text.assemble(f"  {number}  ", (cron, "cyan")))
            self._console.print(Text("Which one? Escape for none.", style="dim"))

    def _choose(self, key: str) -> None:
        crons, self._menu = self._menu, ()
        if key.isdecimal() and 1 <= int(key) <= len(crons):
            self._supervisor.fire_scheduled(crons[int(key) - 1])
        elif key in {"q", "x", ESCAPE}:
            return
        else:
            self._press(key)

    def _open_browser(self) -> None:
        if self._supervisor.urls:
            spawn(self._browse(self._supervisor.urls[0]), name="open a browser")

    async def _browse(self, url: str) -> None:
        if not await asyncio.to_thread(_open, url):
            self._console.print(Text(f"Found no browser; open {url} in yours.", style="yellow"))


def joined(words: list[Text], width: int) -> list[Text]:
    """Put words side by side; a line that a narrow terminal would break ends between two of them."""
    lines: list[list[Text]] = [[]]
    for word in words:
        if lines[-1] and len(GAP.join([*lines[-1], word])) > width:
            lines.append([])
        lines[-1].append(word)
    return [GAP.join(line) for line in lines]


def _open(url: str) -> bool:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if getattr(browser, "basename", "") in TEXT_BROWSERS or getattr(browser, "name", "") in TEXT_BROWSERS:
        return False
    return browser.open(url)
