"""How the help of every command looks."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["PlainCommand", "PlainGroup", "examples", "group"]


def examples(*lines: tuple[str, str]) -> str:
    """Return the part of a help text that shows how a command is called."""
    width = max(len(command) for command, _ in lines)
    shown = (f"  [bold]{command:<{width}}[/bold]  [dim]{what}[/dim]".rstrip() for command, what in lines)
    return "\n".join(["Examples:", "", *shown])


class _Plain:
    """Shows a flag without the type that it does not take."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, ``--help`` and those for completion included."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command that this is mixed into
        for each in found:
            if getattr(each, "is_flag", False):
                each.metavar = ""
        return found


class PlainCommand(_Plain, TyperCommand):
    """A command."""


class PlainGroup(_Plain, TyperGroup):
    """The command that has the others."""


def group(name: str, help_text: str, *shown: tuple[str, str]) -> typer.Typer:
    """Return a command that has others, which without one of them shows its help.

    Args:
        name: what it is called.
        help_text: what its commands are for.
        *shown: see ``examples``.
    """
    return typer.Typer(
        name=name,
        cls=PlainGroup,
        rich_markup_mode="rich",
        no_args_is_help=True,
        help=help_text,
        epilog=examples(*shown),
    )
