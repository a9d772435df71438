"""``longshore check``: a configuration, and what is wrong with one, for a person and for a program.

Everything that comes from a file is text here and never markup, with control characters spelled out; secrets and
passwords are replaced before anything is laid out.
"""

from __future__ import annotations

import datetime as dt
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cronsim import CronSim
from rich.table import Table
from rich.text import Text

from longshore.cli.config_error import render_config_error
from longshore.cli.words import printable
from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.config.model import EgressLimits, SandboxSettings
from longshore.sandbox.layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from longshore.config.model import EgressBinding, HyperdriveBinding, Notice, WorkerConfig
    from longshore.sandbox.layers import Layers

__all__ = [
    "HIDDEN",
    "bindings_table",
    "config_as_json",
    "has_bindings",
    "layers_table",
    "render_check",
    "render_config_error",
    "render_notices",
]

HIDDEN: Final = "(hidden)"
"""Stands where a secret would."""

_MAX_VALUE_CHARS: Final = 60
_FIRINGS: Final = 3


def render_check(
    config: WorkerConfig,
    console: Console,
    now: dt.datetime | None = None,
    layers: Layers | None = None,
    databases: Iterable[tuple[bool, str]] = (),
) -> None:
    """Print a resolved configuration.

    Args:
        config: what to print.
        console: where to.
        now: the time from which the next cron events are told; the present by default.
        layers: what this system can shut workers in with; None: that is not told.
        databases: whether each answers, and a line about it; asked for one by one.
    """
    console.print(_facts(config))
    if layers is not None and config.sandbox.isolation != "off":
        console.print()
        console.print(layers_table(layers))
    console.print()
    if has_bindings(config):
        console.print(bindings_table(config))
    else:
        console.print(Text("No bindings.", style="dim"))
    _render_databases(databases, console)
    if config.crons:
        console.print()
        # The wall clock is what a person compares these times with.
        console.print(_crons_table(config.crons, now or dt.datetime.now(dt.UTC)))  # noqa: TID251
    if config.notices:
        console.print()
        render_notices(config.notices, console)


def _render_databases(databases: Iterable[tuple[bool, str]], console: Console) -> None:
    for index, (is_right, line) in enumerate(databases):
        if not index:
            console.print()
        sign = ("✓ ", "green") if is_right else ("! ", "yellow")
        console.print(Text.assemble(sign, printable(line)), soft_wrap=True)


def bindings_table(config: WorkerConfig) -> Table:
    """Return what ``env`` has: variables with their values, secrets and passwords hidden; and what it lacks and why."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("Binding", no_wrap=True)
    table.add_column("Resource", no_wrap=True)
    table.add_column("Value", overflow="fold")
    for each in config.hyperdrive:
        _add_binding(table, each.binding, "Hyperdrive", ", ".join(_database_words(each)))
    for place in config.egress:
        _add_binding(table, place.binding, "Egress", ", ".join(_place_words(place)))
    for each_mtls in config.mtls_certificates:
        ca = f", trusts {each_mtls.ca}" if each_mtls.ca else ""
        _add_binding(table, each_mtls.binding, "Certificate", f"{each_mtls.certificate}{ca}")
    for name, value in config.vars.items():
        _add_binding(table, name, "Variable", _short(json.dumps(value, ensure_ascii=False)))
    for name in config.secrets:
        _add_binding(table, name, "Secret", HIDDEN)
    for name, reason in config.unavailable.items():
        _add_binding(table, name, "Unavailable", reason, style="yellow")
    return table


def render_notices(notices: Iterable[Notice], console: Console) -> None:
    """Print each notice in a line: where it is about, and what it says."""
    for notice in notices:
        line = f" (line {notice.line})" if notice.line is not None else ""
        where = Text(printable(f"{notice.key_path}{line}"), style="bold")
        console.print(Text.assemble(("! ", "yellow"), where, " ", printable(notice.message)), soft_wrap=True)


def config_as_json(config: WorkerConfig) -> str:
    """Return a resolved configuration as indented JSON, with the names of ``WorkerConfig`` and secrets hidden."""
    values: dict[str, Any] = msgspec.to_builtins(config)
    values["secrets"] = dict.fromkeys(config.secrets, HIDDEN)
    for entry in values["hyperdrive"]:
        entry["connection_string"] = _without_password(entry["connection_string"])
        del entry["is_private"]  # says nothing about a configuration
    return json.dumps(values, indent=2, ensure_ascii=False)


def layers_table(layers: Layers) -> Table:
    """Return what keeps a worker in on this system, and what is missing and why."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("Layer", no_wrap=True)
    table.add_column("Keeps", overflow="fold")
    for each in LAYERS:
        if each.name in layers.available:
            table.add_row(Text(each.name, style="green"), Text(each.keeps))
        else:
            reason = layers.reasons.get(each.name, "not there")
            words = f"missing ({printable(reason)}): {each.lost}"
            table.add_row(Text(each.name, style="yellow"), Text(words, style="yellow" if each.is_essential else "dim"))
    return table


def has_bindings(config: WorkerConfig) -> bool:
    """Return whether ``bindings_table`` has a row."""
    bindings = config.hyperdrive or config.egress or config.mtls_certificates
    return bool(bindings or config.vars or config.secrets or config.unavailable)


def _database_words(database: HyperdriveBinding) -> Iterable[str]:
    yield _without_password(database.connection_string)
    if not database.is_pooled:
        yield "direct"
        return
    size = f"pool of {database.origin_connection_limit}"
    yield size if database.mode == "transaction" else f"{size} by {database.mode}"
    yield "not cached" if database.caching.disabled else f"cached {database.caching.max_age:g} s"


def _place_words(place: EgressBinding) -> Iterable[str]:
    yield place.address
    yield {"off": "plain", "on": "TLS", "starttls": "STARTTLS"}[place.secure_transport]
    if place.ca:
        yield f"trusts {place.ca}"
    if place.client_certificate:
        yield f"certificate {place.client_certificate}"


def _add_binding(table: Table, name: str, kind: str, value: str, style: str = "") -> None:
    table.add_row(Text(printable(f"env.{name}"), style="cyan"), Text(kind), Text(printable(value), style=style))


def _facts(config: WorkerConfig) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _fact_rows(config):
        table.add_row(Text(name), Text(printable(value)))
    return table


def _fact_rows(config: WorkerConfig) -> Iterable[tuple[str, str]]:
    dev, serve = config.dev, config.serve
    yield "name", config.name
    yield "main", _relative(config.main, config.project_dir)
    yield "project", config.project_dir
    yield "file", _relative(config.file, config.project_dir) if config.file else "none"
    yield "environment", config.environment or "top level"
    if config.compatibility_date:
        yield "compatibility", " ".join([config.compatibility_date, *config.compatibility_flags])
    yield "network", f"allow {_words(config.network.allow)}, deny {_words(config.network.deny)}"
    for name, addresses in config.network.hosts.items():
        yield "", f"{name} is {', '.join(addresses)}"
    if network_limits := _set_values(config.network.limits, EgressLimits()):
        yield "limits", network_limits
    if config.tls.ca:
        yield "tls", f"trusts {', '.join(config.tls.ca)} besides the system's authorities"
    yield "isolation", config.sandbox.isolation
    if sandbox := _set_values(config.sandbox, SandboxSettings(isolation=config.sandbox.isolation)):
        yield "sandbox", sandbox
    yield "dev", f"{dev.ip}, port {dev.port}"
    processes = "1 process" if serve.workers == 1 else f"{serve.workers} processes"
    yield "serve", f"{serve.host}, port {serve.port}, {processes}, {serve.log_format} logs"
    limits = f"drain {serve.drain_timeout_s:g} s, boot {serve.boot_timeout_s:g} s"
    yield "time limits", f"{limits}, after a client left {serve.disconnect_grace_s:g} s"
    if serve.audit_log:
        yield "audit log", _relative(serve.audit_log, config.project_dir)
    if serve.metrics:
        yield "metrics", serve.metrics


def _set_values(settings: msgspec.Struct, defaults: msgspec.Struct) -> str:
    """Return those settings that are not the defaults."""
    usual = msgspec.structs.asdict(defaults)
    found = ((key, value) for key, value in msgspec.structs.asdict(settings).items() if value != usual[key])
    return ", ".join(f"{key} {_plain(value)}" for key, value in found)


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _words(rules: tuple[str, ...]) -> str:
    return ", ".join(rules) if rules else "nothing"


def _relative(path: str, folder: str) -> str:
    inside = Path(path).is_absolute() and Path(path).is_relative_to(folder)
    return str(Path(path).relative_to(folder)) if inside else path


def _crons_table(crons: tuple[str, ...], now: dt.datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("Cron", no_wrap=True)
    table.add_column("Next times (UTC)", overflow="fold")
    for cron in crons:
        times = [f"{time:%a %Y-%m-%d %H:%M}" for time in islice(CronSim(cron, now.astimezone(dt.UTC)), _FIRINGS)]
        table.add_row(Text(printable(cron)), Text(", ".join(times) or "never"))
    return table


def _without_password(url: str) -> str:
    try:
        return parse_connection_string(url).without_password
    except ConnectionStringError:
        # One that was made by hand; nobody knows what of it is secret.
        return HIDDEN


def _short(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 1] + "…"
