"""``longshore pool``: its options and its help."""

# No postponed annotations here: typer reads them.

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from longshore.cli.console import CommandFailed, fail, make_console
from longshore.cli.exit_codes import CONFIG
from longshore.cli.help_style import PlainCommand, PlainGroup, examples, group
from longshore.config.errors import ConfigError

__all__ = ["pool"]

DEFAULT = "run"
RULES = re.compile(r"on|[a-z_]+=.*")


class PoolGroup(PlainGroup):
    """``longshore pool URL`` is ``longshore pool run URL``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command that needs no name, and the value that ``--cache`` may go without."""
        if not args or args[0] not in self.commands:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, list(_with_cache_value(args)))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Let the usage of that command read as people write it."""
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == DEFAULT else name), command, rest


def _with_cache_value(args: list[str]) -> list[str]:
    found = []
    for index, each in enumerate(args):
        following = args[index + 1] if index + 1 < len(args) else ""
        found.append("--cache=on" if each == "--cache" and not RULES.fullmatch(following) else each)
    return found


def _ended(error: ConfigError) -> typer.Exit:
    """Print what is wrong with a configuration; return how the command ends."""
    from longshore.cli.config_error import render_config_error  # noqa: PLC0415 - only an error pays for it

    render_config_error(error, make_console(stderr=True))
    return typer.Exit(CONFIG)


pool = typer.Typer(
    name="pool",
    cls=PoolGroup,
    rich_markup_mode="rich",
    help="Pool and cache for PostgreSQL, for any client: transactions share few server connections, nothing breaks.",
)
users = group(
    "users",
    "The file that says who may log in to the pool.",
    ("longshore pool users add ann --users-file users.txt", "asks for the password"),
    ("longshore pool users list --users-file users.txt", ""),
)
pool.add_typer(users)

FileOption = Annotated[
    Path, typer.Option("--users-file", metavar="FILE", help="The users file; PgBouncer's userlist.txt is one.")
]
UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the user, as clients log in.")]


@pool.command(
    DEFAULT,
    cls=PlainCommand,
    epilog=examples(
        ("longshore pool postgres://app:secret@db.internal/shop", "at 127.0.0.1:6432, no file needed"),
        ("longshore pool postgres://app:secret@db.internal/shop --cache", "with cached reads"),
        ("longshore pool init > pool.toml", "a file to begin with"),
        ("longshore pool --config pool.toml --check", "is it right, do the databases answer?"),
        ("longshore pool --config pool.toml", "many databases, users, TLS"),
        ("longshore pool --config pool.toml --replace", "restart, and no client notices"),
        ("longshore pool users add ann --users-file users.txt", "who may log in"),
        ("longshore pool top", "watch it work"),
    ),
)
def run(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="postgres://user:password@host:port/database.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="The configuration; ./pool.toml by default.")
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="127.0.0.1:6432 by default; host:port or unix:/path; repeatable."),
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help="transaction (default) or session.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, max=100_000, metavar="N", help="Server connections; 20 by default.")
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(metavar="[RULES]", help="Cache reads: alone, or like max_age=60,swr=15 (seconds)."),
    ] = None,
    cache_store: Annotated[
        str | None,
        typer.Option(
            "--cache-store", metavar="URL", help="Keep results in a Redis that several pools share: redis://host:6379."
        ),
    ] = None,
    users_file: Annotated[
        str | None,
        typer.Option("--users-file", metavar="FILE", help="Who may log in; without it, all of this machine."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve metrics for Prometheus there.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the configuration, ask each database once, and end.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the pool that runs with this configuration.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(min=0, max=86_400, metavar="SECONDS", help="How long a stop waits for transactions to end."),
    ] = 30.0,
    drain: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=31_536_000,
            metavar="SECONDS",
            help="With --replace: how long clients that cannot move may stay; for ever by default.",
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log-format", metavar="text|json", help="The form of the log; text by default.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every login, too.")] = False,
) -> None:
    """Pool and cache for PostgreSQL, for any client: many sessions share few server connections, and nothing breaks."""
    from longshore.cli.pool import Asked, run_pool  # noqa: PLC0415 - each command loads what it needs
    from longshore.cli.pool_check import check_pool  # noqa: PLC0415 - the same
    from longshore.pool.standalone.from_url import UrlOptions  # noqa: PLC0415 - the same

    if log not in {None, "json", "text"}:
        raise typer.BadParameter(f"{log!r} is neither json nor text", param_hint="--log-format")
    if mode not in {None, "transaction", "session"}:
        raise typer.BadParameter(f"{mode!r} is neither transaction nor session", param_hint="--mode")
    options = UrlOptions(
        listen=tuple(listen or ()),
        mode=mode or "transaction",
        size=size,
        cache=cache,
        cache_store=cache_store,
        users_file=users_file,
        metrics=metrics,
    )
    asked = Asked(
        url=url,
        config=config,
        options=options,
        log=log,
        is_verbose=verbose,
        is_replacing=replace,
        grace_s=grace,
        drain_s=drain,
    )
    try:
        raise typer.Exit(check_pool(asked, make_console()) if check else run_pool(asked))
    except ConfigError as exc:
        raise _ended(exc) from exc
    except CommandFailed as exc:
        fail(exc)


@pool.command(
    "init",
    cls=PlainCommand,
    epilog=examples(("longshore pool init > pool.toml", "then write your database's URL into it")),
)
def init() -> None:
    """Print a configuration file with comments, to begin with."""
    from longshore.pool.standalone.example import example_text  # noqa: PLC0415 - each command loads what it needs

    typer.echo(example_text(), nl=False)


@pool.command(
    "top",
    cls=PlainCommand,
    epilog=examples(
        ("longshore pool top", "the pool of this machine, at 127.0.0.1:6432"),
        ("longshore pool top postgres://ann@db-pool.internal:6432/longshore", "another one"),
        ("longshore pool top --once", "one table, with the rates of one second"),
        ("longshore pool top --json", "the same for programs"),
    ),
)
def top(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Of the admin database; the pool of this machine by default.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, metavar="SECONDS", help="How often it looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end; so it is without a terminal.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and end.")] = False,
) -> None:
    """Show the pools live: clients, servers, transactions, waits, cache hits."""
    from longshore.cli.pool_top import run_top  # noqa: PLC0415 - each command loads what it needs

    try:
        run_top(url, interval_s=interval, is_once=once, is_json=json)
    except CommandFailed as exc:
        fail(exc)


@users.command(
    "add",
    cls=PlainCommand,
    epilog=examples(
        ("longshore pool users add ann --users-file users.txt", "asks for the password"),
        ("printf %s secret | longshore pool users add ann --stdin --users-file users.txt", ""),
    ),
)
def add(
    name: UserArgument,
    users_file: FileOption,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input.")] = False,
) -> None:
    """Add a user, or change the password: the file gets a SCRAM-SHA-256 verifier, which is no password."""
    from longshore.cli import pool_users as command  # noqa: PLC0415 - each command loads what it needs

    def ask() -> str:
        return str(typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True))

    try:
        command.add(users_file, name, make_console(), None if stdin else ask)
    except ConfigError as exc:
        raise _ended(exc) from exc
    except CommandFailed as exc:
        fail(exc)


@users.command(
    "remove", cls=PlainCommand, epilog=examples(("longshore pool users remove ann --users-file users.txt", ""))
)
def remove(name: UserArgument, users_file: FileOption) -> None:
    """Remove a user; SIGHUP tells a running pool."""
    from longshore.cli import pool_users as command  # noqa: PLC0415 - each command loads what it needs

    try:
        command.remove(users_file, name, make_console())
    except CommandFailed as exc:
        fail(exc)


@users.command("list", cls=PlainCommand, epilog=examples(("longshore pool users list --users-file users.txt", "")))
def list_users(users_file: FileOption) -> None:
    """Print who may log in, and how each secret is kept."""
    from longshore.cli import pool_users as command  # noqa: PLC0415 - each command loads what it needs

    try:
        command.list_users(users_file, make_console())
    except ConfigError as exc:
        raise _ended(exc) from exc
    except CommandFailed as exc:
        fail(exc)
