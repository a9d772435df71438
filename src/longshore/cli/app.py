"""The commands of ``longshore``, their options and their help. What they do is in the modules beside this one."""

# No postponed annotations here: typer reads them.

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from longshore.cli.console import CommandFailed, fail, make_console
from longshore.cli.credential_commands import cert, secret
from longshore.cli.exit_codes import CONFIG, USAGE
from longshore.cli.help_style import PlainCommand, PlainGroup, examples
from longshore.cli.levels import LEVELS
from longshore.cli.pool_commands import pool
from longshore.config.errors import ConfigError, Problem
from longshore.config.load import Overrides, load_config
from longshore.config.model import WorkerConfig

__all__ = ["app"]

ConfigOption = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="The configuration file, or its folder.")
]
CwdOption = Annotated[Path | None, typer.Option("--cwd", metavar="FOLDER", help="Run as if started in this folder.")]
EnvironmentOption = Annotated[
    str | None, typer.Option("-e", "--env", metavar="NAME", help=r"The \[env.NAME] section to use.")
]
EnvFileOption = Annotated[
    list[Path] | None, typer.Option("--env-file", metavar="FILE", help="Read secrets from this file; repeatable.")
]
IsolationOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOW", help="How far the worker is shut in: auto, required or off; instead of the configuration's."
    ),
]
VarOption = Annotated[list[str] | None, typer.Option("--var", metavar="K:V", help="A variable for `env`; repeatable.")]
ScriptArgument = Annotated[
    str | None, typer.Argument(metavar="SCRIPT", help="The main module, instead of the one of the configuration.")
]


@dataclass(frozen=True, slots=True)
class Place:
    """Which configuration a command is about."""

    config: Path | None
    cwd: Path
    environment: str | None
    env_files: tuple[Path, ...] = ()
    isolation: str | None = None

    def secret_files(self) -> tuple[str, ...]:
        """Return the absolute paths of the files that secrets are read from because the command line says so."""
        return tuple(str((self.cwd / file).absolute()) for file in self.env_files)

    def load(self, *, is_dev: bool, main: str | None = None, variables: dict[str, str] | None = None) -> WorkerConfig:
        """Load the configuration.

        Raises:
            ConfigError: with everything that is wrong in it.
        """
        overrides = Overrides(isolation=self.isolation, main=main, vars=variables or {}, env_files=self.env_files)
        # One that is no text cannot be what a configuration asks for.
        surroundings = {name: text for name, value in os.environ.items() if (text := as_text(value)) is not None}
        loaded = load_config(
            self.config,
            cwd=self.cwd,
            environment=self.environment,
            is_dev=is_dev,
            variables=surroundings,
            overrides=overrides,
            stored=stored_secret(surroundings),
        )
        return with_credential_notices(loaded, surroundings)


def stored_secret(variables: dict[str, str]) -> Callable[[str], str | None]:
    """Return what asks the credential store for a secret; it is loaded with the first question."""

    def secret(name: str) -> str | None:
        from longshore.runtime.host.credentials import stored_secret as of_store  # noqa: PLC0415 - few need it

        return of_store(variables)(name)

    return secret


def with_credential_notices(config: WorkerConfig, variables: dict[str, str]) -> WorkerConfig:
    """Add what is to be known of the certificates that the configuration names.

    Raises:
        ConfigError: the store's key is none.
    """
    if not (config.egress or config.mtls_certificates or config.tls.ca):
        return config
    from longshore.cli.cert import present  # noqa: PLC0415 - few configurations need the store
    from longshore.credentials.errors import CredentialError  # noqa: PLC0415 - the same
    from longshore.credentials.store import open_store  # noqa: PLC0415 - the same
    from longshore.runtime.host.credentials import credential_notices  # noqa: PLC0415 - the same

    try:
        found = credential_notices(config, open_store(variables), present())
    except CredentialError as exc:
        raise ConfigError([Problem(message=exc.message, hint=exc.hint)]) from exc
    return msgspec.structs.replace(config, notices=(*config.notices, *found))


def as_text(value: str) -> str | None:
    """Return what the system gave as text: UTF-8, whatever the locale says; None when it is none."""
    try:
        return os.fsencode(value).decode("utf-8")
    except UnicodeDecodeError:
        return None


app = typer.Typer(
    name="longshore",
    cls=PlainGroup,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        ("longshore demo", "see it work, with a real PostgreSQL"),
        ("longshore init my-worker", "make a project"),
        ("longshore dev", "run it, reload on change"),
        ("longshore serve --workers 4", "run it in production"),
        ("longshore pool postgres://…", "pool connections to a PostgreSQL, for any client"),
    ),
)


app.add_typer(cert)
app.add_typer(secret)
app.add_typer(pool)


@app.callback(invoke_without_command=True)
def longshore(
    context: typer.Context,
    config: ConfigOption = None,
    cwd: CwdOption = None,
    environment: EnvironmentOption = None,
    version: Annotated[bool, typer.Option("--version", "-v", help="Print the version.")] = False,
) -> None:
    """Workers with sockets, in Python: small modules that answer requests and speak to any server."""
    if version:
        typer.echo(f"longshore {installed_version('longshore')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit
    context.obj = (config, cwd, environment)


def place_of(
    context: typer.Context,
    config: Path | None,
    cwd: Path | None,
    environment: str | None,
    env_files: list[Path] | None = None,
    isolation: str | None = None,
) -> Place:
    """Return what the options before and behind the command's name come to."""
    if isolation not in {None, "auto", "required", "off"}:
        raise typer.BadParameter(f"{isolation!r} is none of auto, required, off", param_hint="--isolation")
    former_config, former_cwd, former_environment = context.obj
    return Place(
        config=config or former_config,
        cwd=resolved_folder(cwd or former_cwd or Path()),
        environment=environment or former_environment,
        env_files=tuple(env_files or ()),
        isolation=isolation,
    )


def resolved_folder(folder: Path) -> Path:
    """Return where a folder really is; end when there is none, or it cannot be looked into."""
    problem = f"no folder {str(folder)!r}"
    try:
        if folder.is_dir():
            resolved = folder.resolve()
            os.scandir(resolved).close()
            return resolved
    except OSError as exc:
        problem = f"cannot read the folder {str(folder)!r}: {exc.strerror}"
    return fail(CommandFailed(problem, USAGE))


def variables_of(words: list[str] | None) -> dict[str, str]:
    """Return the variables of ``--var K:V``."""
    found = {}
    for word in words or []:
        name, separator, value = (as_text(word) or "").partition(":")
        if not separator or not name.isidentifier():
            raise typer.BadParameter(f"{word!r} is not NAME:VALUE", param_hint="--var")
        found[name] = value
    return found


def run_with(
    command: Callable[[Callable[[], WorkerConfig]], int],
    place: Place,
    script: str | None,
    var: list[str] | None,
    *,
    is_dev: bool,
) -> NoReturn:
    """Give a command what loads its configuration, again whenever it asks, and end as it ends."""
    variables = variables_of(var)

    def load() -> WorkerConfig:
        return place.load(is_dev=is_dev, main=script, variables=variables)

    try:
        raise typer.Exit(command(load))
    except ConfigError as exc:
        raise ended(exc) from exc
    except CommandFailed as exc:
        fail(exc)


def ended(error: ConfigError) -> typer.Exit:
    """Print what is wrong with a configuration; return how the command ends."""
    from longshore.cli.config_error import render_config_error  # noqa: PLC0415 - only an error pays for it

    render_config_error(error, make_console(stderr=True))
    return typer.Exit(CONFIG)


@app.command(
    cls=PlainCommand,
    epilog=examples(
        ("longshore init my-worker", ""),
        ("longshore init shop --template postgres", ""),
        ("longshore init --list", "what templates there are"),
    ),
)
def init(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The new folder, and the worker's name.", show_default=False)
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", "-t", metavar="TEMPLATE", help="What kind of worker.")
    ] = None,
    cwd: CwdOption = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Ask nothing, take the plainest template.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="Print the templates.")] = False,
) -> None:
    """Make a project: a worker that runs, and a test that passes."""
    from longshore.cli import init as command  # noqa: PLC0415 - each command loads what it needs

    if list_them:
        command.list_templates()
        return
    if name is None:
        raise typer.BadParameter("how shall it be called? longshore init NAME", param_hint="NAME")
    folder = place_of(context, None, cwd, None).cwd
    try:
        command.init(name, template, cwd=folder, assume_yes=yes)
    except CommandFailed as exc:
        fail(exc)


@app.command(
    cls=PlainCommand,
    epilog=examples(
        ("longshore dev", "http://localhost:8787, or the next free port"),
        ("longshore dev src/other.py", "another main module"),
        ("longshore dev --port 3000 --var GREETING:Ahoy", ""),
        ("longshore dev --ip 0.0.0.0", "reachable from other machines"),
        ("longshore dev --isolation off", "the worker may do what you may do"),
    ),
)
def dev(
    context: typer.Context,
    script: ScriptArgument = None,
    ip: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address to listen on; localhost by default.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="The port, 0 for any free one; by default 8787 or the next free one."
        ),
    ] = None,
    isolation: IsolationOption = None,
    var: VarOption = None,
    config: ConfigOption = None,
    cwd: CwdOption = None,
    environment: EnvironmentOption = None,
    env_file: EnvFileOption = None,
) -> None:
    """Run a worker while writing it: reload on change, show every request, connection and error."""
    from longshore.cli import dev as command  # noqa: PLC0415 - each command loads what it needs

    place = place_of(context, config, cwd, environment, env_file, isolation)
    run_with(
        lambda load: command.dev(load, ip=ip, port=port, secret_files=place.secret_files()),
        place,
        script,
        var,
        is_dev=True,
    )


@app.command(
    cls=PlainCommand,
    epilog=examples(
        ("longshore serve", "http://127.0.0.1:8787"),
        ("longshore serve --host 0.0.0.0 --port 80 --workers 4", ""),
        ("longshore serve -e production --log json", "one JSON object a line"),
        ("longshore serve --isolation required", "no start without every lock"),
    ),
)
def serve(
    context: typer.Context,
    script: ScriptArgument = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address to listen on; 127.0.0.1 by default.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 8787 by default.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, metavar="N", help="How many processes; 1 by default.")
    ] = None,
    log: Annotated[str | None, typer.Option(metavar="json|text", help="The form of the log; text by default.")] = None,
    log_level: Annotated[
        str,
        typer.Option(metavar="LEVEL", help="What matters less is not logged: debug, info, warning or error."),
    ] = "info",
    metrics: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve metrics for Prometheus there; instead of the configuration's."),
    ] = None,
    isolation: IsolationOption = None,
    var: VarOption = None,
    config: ConfigOption = None,
    cwd: CwdOption = None,
    environment: EnvironmentOption = None,
    env_file: EnvFileOption = None,
) -> None:
    """Run a worker in production: no reload, several processes, a log for machines."""
    from longshore.cli import serve as command  # noqa: PLC0415 - each command loads what it needs

    if log not in {None, "json", "text"}:
        raise typer.BadParameter(f"{log!r} is neither json nor text", param_hint="--log")
    if log_level not in LEVELS:
        raise typer.BadParameter(f"{log_level!r} is none of {', '.join(LEVELS)}", param_hint="--log-level")
    place = place_of(context, config, cwd, environment, env_file, isolation)

    def run(load: Callable[[], WorkerConfig]) -> int:
        return command.serve(
            load,
            host=host,
            port=port,
            workers=workers,
            log=log,
            log_level=log_level,
            metrics=metrics,
            secret_files=place.secret_files(),
        )

    run_with(run, place, script, var, is_dev=False)


@app.command(
    cls=PlainCommand,
    epilog=examples(
        ("longshore check", "what `longshore serve` would run"),
        ("longshore check --dev", "what `longshore dev` would run"),
        ("longshore check -e production", ""),
    ),
)
def check(
    context: typer.Context,
    script: ScriptArgument = None,
    is_dev: Annotated[bool, typer.Option("--dev", help="As `longshore dev` sees it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: ConfigOption = None,
    cwd: CwdOption = None,
    environment: EnvironmentOption = None,
    env_file: EnvFileOption = None,
) -> None:
    """Print the configuration in force, secrets hidden, or everything that is wrong with it. Tries its databases."""
    from longshore.cli.check import config_as_json, render_check  # noqa: PLC0415 - each command loads what it needs
    from longshore.cli.database_check import database_lines  # noqa: PLC0415 - the same
    from longshore.sandbox.probe import ProbeError, probe_layers  # noqa: PLC0415 - the same

    place = place_of(context, config, cwd, environment, env_file)
    try:
        loaded = place.load(is_dev=is_dev, main=script)
    except ConfigError as exc:
        raise ended(exc) from exc
    if as_json:
        typer.echo(config_as_json(loaded))
        return
    try:
        layers = probe_layers()
    except ProbeError as exc:
        fail(CommandFailed(str(exc)))
    render_check(loaded, make_console(), layers=layers, databases=database_lines(loaded))


@app.command(
    cls=PlainCommand,
    epilog=examples(
        ("longshore demo", "runs until Ctrl-C"),
        ("longshore demo --once", "ends after the first right answer"),
    ),
)
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the first right answer.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="The port of the worker; 0 for any free one.")
    ] = 0,
) -> None:
    """Run a worker against a real PostgreSQL, which is started for it and removed afterwards."""
    from longshore.cli import demo as command  # noqa: PLC0415 - each command loads what it needs

    try:
        raise typer.Exit(command.demo(once=once, port=port))
    except CommandFailed as exc:
        fail(exc)
