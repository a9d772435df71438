"""Where the commands print, and how one says that it failed."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from longshore.cli.exit_codes import FAILED

__all__ = ["CommandFailed", "fail", "make_console", "silence_output", "speaks_unicode"]


class CommandFailed(Exception):
    """What was asked for cannot be done; the message is for a person."""

    def __init__(self, message: str, code: int = FAILED, hint: str = "") -> None:
        self.code = code
        self.hint = hint
        super().__init__(message)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that colours only for a terminal, and never with NO_COLOR."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def speaks_unicode(console: Console) -> bool:
    """Return whether symbols beyond ASCII arrive."""
    return console.encoding.lower().startswith("utf")


def fail(error: CommandFailed) -> NoReturn:
    """Print why a command failed and end with its code."""
    console = make_console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)))
    if error.hint:
        console.print(Text(error.hint, style="dim"))
    sys.exit(error.code)


def silence_output() -> None:
    """Let nothing that is still written fail: whoever read the output is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        with contextlib.suppress(OSError):
            os.dup2(nowhere, fd)
    os.close(nowhere)
