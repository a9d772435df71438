"""``longshore pool``: load the configuration, say what is in force, serve until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.cli.console import CommandFailed, make_console
from longshore.cli.exit_codes import FAILED, USAGE
from longshore.cli.log_writer import LogWriter
from longshore.cli.pool_banner import print_banner
from longshore.cli.pool_log import PoolLog
from longshore.cli.serve import dropped_as_json, dropped_as_text
from longshore.config.errors import ConfigError, Problem
from longshore.pool.compiled import is_compiled
from longshore.pool.standalone.control_path import default_control
from longshore.pool.standalone.from_url import UrlOptions, settings_of_url
from longshore.pool.standalone.listen import parse_listen
from longshore.pool.standalone.listeners import ListenFailed
from longshore.pool.standalone.load import DEFAULT_FILE, Files, load_pool
from longshore.pool.standalone.notify import sockets_of_systemd
from longshore.pool.standalone.predecessor import TakeOverFailed
from longshore.pool.standalone.process import PoolProcess, ProcessOptions, StoreFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.pool.standalone.model import PoolSettings

__all__ = ["Asked", "loader", "run_pool"]

_GARBAGE_OBJECTS = 20_000
"""How many new objects make it worth while to look for cycles."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line."""

    url: str | None
    config: Path | None
    options: UrlOptions
    log: str | None
    is_verbose: bool
    is_replacing: bool = False
    grace_s: float = 30.0
    drain_s: float | None = None


def loader(asked: Asked, variables: Mapping[str, str]) -> tuple[Callable[[], PoolSettings], bool]:
    """Return what loads the settings, and whether it can load others later.

    Raises:
        CommandFailed: the command line is wrong.
    """
    if asked.url is not None and asked.config is not None:
        raise CommandFailed("give a URL or --config, not both", USAGE)
    if asked.url is not None:
        url = asked.url

        def from_url() -> PoolSettings:
            try:
                return settings_of_url(url, asked.options, Files(Path(), variables))
            except ValueError as exc:
                raise CommandFailed(str(exc), USAGE) from exc

        return (lambda: _with_command_line(from_url(), asked, variables)), asked.options.users_file is not None
    file = asked.config or Path(DEFAULT_FILE)
    if asked.config is None and not file.is_file():
        hint = "try 'longshore pool postgres://user:password@host/database', or 'longshore pool init > pool.toml'"
        raise CommandFailed(f"no URL, and no {DEFAULT_FILE} here", USAGE, hint)
    if asked.options != UrlOptions(metrics=asked.options.metrics):
        raise CommandFailed(
            "--listen, --mode, --size, --cache, --cache-store and --users-file go with a URL",
            USAGE,
            f"write them into {file}",
        )
    return (lambda: _with_command_line(load_pool(file, variables), asked, variables)), True


def _with_command_line(settings: PoolSettings, asked: Asked, variables: Mapping[str, str]) -> PoolSettings:
    metrics = asked.options.metrics
    return dataclasses.replace(
        settings,
        control=settings.control or default_control(settings, variables),
        is_json=settings.is_json if asked.log is None else asked.log == "json",
        is_verbose=asked.is_verbose,
        metrics=settings.metrics if metrics is None else parse_listen(metrics),
    )


def run_pool(asked: Asked) -> int:
    """Serve until it is stopped; return the exit code.

    Raises:
        CommandFailed: the command line is wrong, a place cannot be listened at, or there is nothing to replace.
        ConfigError: the configuration is wrong.
    """
    variables = dict(os.environ)
    load, can_change = loader(asked, variables)
    settings = load()

    def again() -> PoolSettings:
        try:
            return load()
        except CommandFailed as exc:  # a users file that went bad
            raise ConfigError([Problem(message=str(exc), hint=exc.hint)]) from exc

    make_loop, loop_name = best_loop()
    if not settings.is_json:
        print_banner(settings, make_console(), loop_name)
        sys.stdout.flush()
    _raise_file_limit()
    options = ProcessOptions(
        grace_s=asked.grace_s,
        drain_s=asked.drain_s,
        is_replacing=asked.is_replacing,
        environment=variables,
        given=sockets_of_systemd(variables),
    )
    tell_dropped = dropped_as_json if settings.is_json else dropped_as_text
    with LogWriter(sys.stdout.fileno(), tell_dropped) as stream, asyncio.Runner(loop_factory=make_loop) as runner:
        sink = PoolLog(stream, is_json=settings.is_json)

        _spare_collector()

        async def serve() -> int:
            return await PoolProcess(settings, again if can_change else None, sink, options).run()

        try:
            return runner.run(serve())
        except (ListenFailed, StoreFailed, TakeOverFailed) as exc:
            raise CommandFailed(str(exc), FAILED) from exc


def _spare_collector() -> None:
    """Let the collector not look at what was imported, and seldom at all: connections leave no cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)


def _raise_file_limit() -> None:
    """Let the process have as many connections as the system allows: the usual 1,024 are few for a pool."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def best_loop() -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """Return the fastest event loop there is, and how fast it is in words."""
    if sys.platform == "linux":
        from longshore.pool.hot import new_event_loop  # noqa: PLC0415 - the system must have epoll

        return new_event_loop, "hot modules compiled" if is_compiled() else "hot modules not compiled"
    else:  # noqa: RET505 - so that mypy passes over it on Linux
        try:
            import uvloop  # noqa: PLC0415 - where it installs
        except ImportError:
            return asyncio.new_event_loop, "asyncio"
        return uvloop.new_event_loop, "uvloop"
