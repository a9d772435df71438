"""What ``longshore dev`` shows before the first request: the worker, its bindings, its rules."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.text import Text

from longshore.cli.check import bindings_table, has_bindings, render_notices

if TYPE_CHECKING:
    from rich.console import Console

    from longshore.config.model import WorkerConfig

__all__ = ["print_banner"]


def print_banner(config: WorkerConfig, console: Console) -> None:
    """Print the head of the log."""
    environment = f"  environment {config.environment}" if config.environment else ""
    head = (("longshore", "bold cyan"), f" {version('longshore')}  ", (config.name, "bold"), (environment, "cyan"))
    console.print(Text.assemble(*head))
    console.print()
    if has_bindings(config):
        console.print(bindings_table(config))
        console.print()
    console.print(_network(config))
    if config.crons:
        when = ("  fired by the key t, not on time", "dim")
        console.print(Text.assemble(("Crons    ", "bold"), (", ".join(config.crons), "cyan"), when))
    if notices := [notice for notice in config.notices if not notice.is_minor]:
        console.print()
        render_notices(notices, console)
    console.print()


def _network(config: WorkerConfig) -> Text:
    where = ", ".join(config.network.allow)
    words = ("to ", (where, "green")) if where else (("nowhere", "green"),)
    line = Text.assemble(("Network  ", "bold"), "may connect ", *words)
    if config.network.deny:
        line.append(", but not to ").append(", ".join(config.network.deny), style="red")
    return line
