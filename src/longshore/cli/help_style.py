"""How the help of every command looks."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["PlainCommand", "PlainGroup", "examples"]


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
