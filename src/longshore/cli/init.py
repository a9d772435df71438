"""``longshore init``: a new project from a template."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.prompt import IntPrompt
from rich.table import Table
from rich.text import Text

from longshore.cli.console import CommandFailed, make_console
from longshore.cli.exit_codes import USAGE
from longshore.cli.template import PYTEST, TEMPLATES, project_files
from longshore.config.checks import check_worker_name

if TYPE_CHECKING:
    from rich.console import Console

    from longshore.cli.template import Template

__all__ = ["init", "list_templates"]

DEFAULT: Final = "hello"
IGNORED: Final = frozenset({".git", ".venv", ".idea", ".vscode"})
"""What may be in a folder that counts as empty."""


def init(name: str, template: str | None, *, cwd: Path, assume_yes: bool) -> None:
    """Make a project.

    Args:
        name: the new folder; its last part becomes the worker's name.
        template: one of ``TEMPLATES``; None to ask on a terminal, and else to take the plainest.
        cwd: what ``name`` is relative to.
        assume_yes: ask nothing.

    Raises:
        CommandFailed: the name or the template is none, there is something in the folder, or it cannot be written.
    """
    console = make_console()
    folder = (cwd / name).resolve()
    _check_name(folder.name)
    try:
        _check_folder(folder, cwd)
    except OSError as exc:
        raise _unwritable(exc, folder, cwd) from exc
    chosen = _chosen(template, console, may_ask=not assume_yes and sys.stdin.isatty() and console.is_terminal)
    files = project_files(chosen, folder.name)
    try:
        _write(files, folder)
    except OSError as exc:
        raise _unwritable(exc, folder, cwd) from exc
    _tell(console, chosen, folder, cwd, sorted(files))


def list_templates() -> None:
    """Print every template with a line about it."""
    console = make_console()
    console.print(_table())


def _check_name(name: str) -> None:
    try:
        check_worker_name(name)
    except ValueError as exc:
        raise CommandFailed(str(exc), USAGE) from exc
    if not (name[0].isalnum() and name[-1].isalnum()):
        # It becomes the project's name too, in pyproject.toml.
        raise CommandFailed(f"{name!r} is no worker name: it begins and ends with a letter or a digit", USAGE)


def _check_folder(folder: Path, cwd: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CommandFailed(f"{_shown(folder, cwd)} is a file", hint="Choose another name.")
    if folder.is_dir() and any(entry.name not in IGNORED for entry in folder.iterdir()):
        raise CommandFailed(f"the folder {_shown(folder, cwd)} is not empty", hint="Choose another name, or empty it.")


def _write(files: dict[str, str], folder: Path) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _unwritable(exc: OSError, folder: Path, cwd: Path) -> CommandFailed:
    where = Path(exc.filename) if exc.filename else folder
    return CommandFailed(f"cannot make {_shown(where, cwd)}: {exc.strerror}", hint="Choose another folder.")


def _chosen(name: str | None, console: Console, *, may_ask: bool) -> Template:
    if name is None:
        return _asked(console) if may_ask else TEMPLATES[DEFAULT]
    if name not in TEMPLATES:
        raise CommandFailed(f"no template {name!r}; there are {', '.join(TEMPLATES)}", USAGE)
    return TEMPLATES[name]


def _asked(console: Console) -> Template:
    console.print(_table(numbered=True))
    choices = [str(number) for number in range(1, len(TEMPLATES) + 1)]
    number = IntPrompt.ask("Template", console=console, choices=choices, show_choices=False, default=1)
    return list(TEMPLATES.values())[number - 1]


def _table(*, numbered: bool = False) -> Table:
    table = Table.grid(padding=(0, 2))
    for number, template in enumerate(TEMPLATES.values(), 1):
        cells = [Text(template.name, style="bold cyan"), Text(template.summary)]
        table.add_row(*([Text(f"{number:>2}", style="dim")] if numbered else []), *cells)
    return table


def _shown(folder: Path, cwd: Path) -> str:
    return str(folder.relative_to(cwd)) if folder.is_relative_to(cwd) and folder != cwd else str(folder)


def _tell(console: Console, template: Template, folder: Path, cwd: Path, files: list[str]) -> None:
    shown = _shown(folder, cwd)
    console.print(Text.assemble(("Made ", "bold green"), (shown, "bold"), f" from the template {template.name}"))
    for path in files:
        console.print(Text(f"  {path}", style="dim"))
    console.print(Text("\nNext steps", style="bold"))
    steps = []
    if folder != cwd:
        steps.append((f"cd {shown}", ""))
    wanted = " ".join(f"'{each}'" for each in (*template.dependencies, PYTEST, *template.test_dependencies))
    steps.append((f"pip install {wanted}", ""))
    steps += [("longshore dev", "runs it at http://localhost:8787"), ("pytest", "runs its tests")]
    width = max(len(command) for command, what in steps if what)
    for command, what in steps:
        console.print(Text.assemble(f"  {command:<{width}}   ", (what, "dim")) if what else f"  {command}")
