"""The console script ``longshore``, and the last place where an exception becomes an exit code.

Imports nothing but the standard library at first, so that a missing extra is a sentence and not a traceback.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import TYPE_CHECKING

from longshore.cli.exit_codes import FAILED, INTERNAL, INTERRUPTED, USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]

USAGE_OF_TYPER = 2
"""What typer ends with after a wrong command line."""


def main() -> None:
    """Run the command line of this process and end it with the right exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows its number; it is no reason to end.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run ``longshore`` with these arguments; return its exit code."""
    try:
        return _typed(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as exc:
        return _missing(exc)
    except Exception as exc:  # noqa: BLE001 - whatever a command lets through is a defect, and is reported as one
        return _defect(exc)


def _typed(arguments: Sequence[str]) -> int:
    from longshore.cli.app import app  # noqa: PLC0415 - needs the extra; see _missing

    try:
        app(list(arguments), prog_name="longshore")
    except SystemExit as exc:
        if exc.code is None or isinstance(exc.code, int):
            return USAGE if exc.code == USAGE_OF_TYPER else int(exc.code or 0)
        raise
    return 0


def _missing(exc: ModuleNotFoundError) -> int:
    name = (exc.name or "").partition(".")[0]
    if not name or name == "longshore":
        return _defect(exc)
    if _is_debug():
        traceback.print_exc()
    _say(f'longshore: the command line needs the package {name!r}: pip install "longshore[workers]"')
    return FAILED


def _defect(exc: BaseException) -> int:
    if _is_debug():
        traceback.print_exception(exc)
    what = f"{type(exc).__name__}: {exc}".rstrip(": ")
    _say(f"longshore: this is a defect of Longshore: {what}")
    if not _is_debug():
        _say("Please report it, with what LONGSHORE_DEBUG=1 in the environment prints.")
    return INTERNAL


def _is_debug() -> bool:
    return os.environ.get("LONGSHORE_DEBUG", "") not in {"", "0"}


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
