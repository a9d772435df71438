"""The console script ``longshore``, and the last place where an exception becomes an exit code.

Imports nothing but the standard library at first, so that a missing extra is a sentence and not a traceback.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final

from longshore.cli.exit_codes import FAILED, INTERNAL, INTERRUPTED, USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]

USAGE_OF_TYPER = 2
"""What typer ends with after a wrong command line."""
LACKING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the machine is short of is no defect of ours."""
_NO_THREAD: Final = "can't start new thread"
"""How Python words it that there may be no more of them."""


def main() -> None:
    """Run the command line of this process and end it with the right exit code."""
    _open_closed_streams()
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
    except OSError as exc:
        return _lacking(exc) if exc.errno in LACKING else _defect(exc)
    except RuntimeError as exc:
        return _lacking(OSError(errno.EAGAIN, _NO_THREAD)) if str(exc) == _NO_THREAD else _defect(exc)
    except Exception as exc:  # noqa: BLE001 - whatever a command lets through is a defect, and is reported as one
        return _defect(exc)


def _open_closed_streams() -> None:
    """Lead the standard streams that whoever started us has closed to nowhere.

    Otherwise the next socket gets the number 1, and prints end up in it.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest number that is free is the one that is missing.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w" if fd else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


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


def _lacking(exc: OSError) -> int:
    if _is_debug():
        traceback.print_exception(exc)
    where = f"{exc.filename!r}: " if exc.filename else ""
    _say(f"longshore: {where}{exc.strerror}")
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
