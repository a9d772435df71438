"""From the keys in force to a ``WorkerConfig`` (PURE: what the world says comes in as arguments)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.checks import has_numbered_weekday
from longshore.config.main_file import MainFile, MainFileError, find_main, normal_path
from longshore.config.model import DevSettings, ServeSettings, WorkerConfig
from longshore.config.outbound import (
    egress_bindings,
    mtls_bindings,
    network_rules,
    sandbox_settings,
    settings,
    tls_settings,
)
from longshore.config.positions import path_text
from longshore.config.secrets import Sources
from longshore.config.shape import TopLevel
from longshore.config.wrangler_keys import INERT_KEYS, declared_bindings, is_minor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from longshore.config.dotenv import DotenvValue
    from longshore.config.merge import Merged
    from longshore.config.positions import KeyPath
    from longshore.config.report import Report
    from longshore.config.secrets import StoredSecret
    from longshore.config.shape import ServeShape

__all__ = ["Surroundings", "resolve"]

_NO_EFFECT: Final = "has no effect in this version of Longshore"
_LIVE_DEV_KEYS: Final = frozenset({"ip", "port"})
_BINDING_KEYS: Final = ("hyperdrive", "egress", "mtls_certificates")
_MAX_NAME_CHARS: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a configuration depends on besides its file."""

    project_dir: Path
    cwd: Path
    is_dev: bool
    is_file: Callable[[Path], bool]
    file: Path | None = None
    main: str | None = None
    """The main module of the command line, which goes before the key."""
    vars: Mapping[str, str] = field(default_factory=dict)
    """Variables of the command line, which go before the file's."""
    dotenv: Mapping[str, DotenvValue] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment of this process."""
    stored: StoredSecret | None = None
    """Asks the credential store."""


def resolve(merged: Merged, around: Surroundings, report: Report, *, broken: frozenset[str]) -> WorkerConfig | None:
    """Make the configuration of one worker.

    Args:
        merged: the keys in force, all of them valid.
        around: everything else.
        report: takes what is wrong; only without any problem there is a result.
        broken: keys that were taken out because they are wrong; nothing is said about these again.
    """
    shape = msgspec.convert(merged.values, TopLevel)
    main = None if "main" in broken and around.main is None else _main(shape, merged, around, report)
    sources = Sources(around.dotenv, around.variables, report, is_dev=around.is_dev, stored=around.stored)
    secrets = sources.secrets(merged, shape.secrets.required)
    hyperdrive = sources.hyperdrive(merged, shape.hyperdrive)
    egress = egress_bindings(shape.egress, merged, report)
    _check_names(merged, secrets, report)
    _notice_settings(shape, merged, report)
    if report.problems or main is None:
        return None
    return WorkerConfig(
        name=shape.name or _default_name(around.project_dir),
        main=main.main,
        module_root=str(main.module_root),
        project_dir=str(around.project_dir),
        file=str(around.file) if around.file else None,
        environment=merged.environment,
        compatibility_date=str(shape.compatibility_date) if shape.compatibility_date else None,
        compatibility_flags=tuple(shape.compatibility_flags),
        # As in wrangler, a secret goes before a variable of the same name.
        vars={name: value for name, value in {**shape.vars, **around.vars}.items() if name not in secrets},
        secrets=secrets,
        hyperdrive=hyperdrive,
        crons=tuple(shape.triggers.crons),
        network=network_rules(shape.network, hyperdrive),
        egress=egress,
        mtls_certificates=mtls_bindings(shape.mtls_certificates),
        tls=tls_settings(shape.tls),
        sandbox=sandbox_settings(shape.isolation, shape.sandbox, around.project_dir),
        dev=settings(DevSettings, shape.dev),
        serve=_serve_settings(shape.serve, around.project_dir),
        watch=_watched(shape, around.project_dir),
        unavailable={name: _reason(str(path[0])) for name, path in _declared(merged)},
    )


def _main(shape: TopLevel, merged: Merged, around: Surroundings, report: Report) -> MainFile | None:
    asked, base = (around.main, around.cwd) if around.main is not None else (shape.main, around.project_dir)
    try:
        return find_main(asked, base, around.project_dir, around.is_file)
    except MainFileError as error:
        # What the command line says has no place in the file.
        path = merged.path("main") if around.main is None else ()
        report.problem(path, error.message, error.hint)
        return None


def _declared(merged: Merged) -> Iterator[tuple[str, KeyPath]]:
    for key, value in merged.values.items():
        if key in INERT_KEYS:
            yield from declared_bindings(key, value)


def _reason(key: str) -> str:
    return f"{INERT_KEYS[key].what} ({key}) are not provided by this version of Longshore"


def _check_names(merged: Merged, secrets: Mapping[str, str], report: Report) -> None:
    """Report names that two things of ``env`` have."""
    seen: dict[str, KeyPath] = {name: merged.path("vars", name) for name in merged.values.get("vars", {})}
    names: list[tuple[str, KeyPath]] = [
        (entry["binding"], (key, index, "binding"))
        for key in _BINDING_KEYS
        for index, entry in enumerate(merged.values.get(key, []))
    ]
    for name, (key, *rest) in (*names, *_declared(merged)):
        path = merged.path(str(key), *rest)
        if name in seen or name in secrets:
            other = f"{path_text(seen[name])} has it" if name in seen else "a secret has it"
            report.problem(path, f"the name {name!r} is taken, {other} too", "rename one")
        seen.setdefault(name, path)


def _notice_settings(shape: TopLevel, merged: Merged, report: Report) -> None:
    """Say which settings have no effect, or another one than a reader of wrangler's manual expects."""
    for key in merged.values:
        if key in INERT_KEYS and not INERT_KEYS[key].is_silent:
            report.notice(merged.path(key), _NO_EFFECT, is_minor=is_minor(key))
    for key in merged.values.get("dev", {}):
        if key not in _LIVE_DEV_KEYS:
            report.notice(("dev", key), _NO_EFFECT, is_minor=True)
    if shape.build.command is not None:
        report.notice(merged.path("build", "command"), _NO_EFFECT)
    for index, cron in enumerate(shape.triggers.crons):
        if has_numbered_weekday(cron):
            message = f"{cron!r} has a numbered weekday: 1 is Monday here and Sunday on Cloudflare, write MON or SUN"
            report.notice(merged.path("triggers", "crons", index), message)


def _serve_settings(shape: ServeShape, project: Path) -> ServeSettings:
    """Return how the host runs; a relative path is one of the project's."""
    audit_log = None if shape.audit_log is None else str(normal_path(project / shape.audit_log))
    return settings(ServeSettings, shape, audit_log=audit_log)


def _watched(shape: TopLevel, project: Path) -> tuple[str, ...]:
    """Return the folders to watch: the project, and what ``build.watch_dir`` names outside of it."""
    named = shape.build.watch_dir or []
    folders = [normal_path(project / name) for name in ([named] if isinstance(named, str) else named)]
    return tuple(str(each) for each in (project, *(each for each in folders if not each.is_relative_to(project))))


def _default_name(project: Path) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in project.name.lower())
    return name.strip("-")[:_MAX_NAME_CHARS] or "worker"
