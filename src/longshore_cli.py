"""The console script ``longshore``: what has to happen before the package is imported.

It stands outside of the package because importing anything of that takes a moment, in which nobody could catch a
``KeyboardInterrupt``: Ctrl-C would print a traceback.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]

_INTERRUPTED = 130
"""What a shell shows of a program that SIGINT ended."""


def main() -> None:
    """Run ``longshore``; whenever Ctrl-C comes, nothing but what a command itself says about it is printed."""
    handler = signal.getsignal(signal.SIGINT)
    is_ours = handler is signal.default_int_handler  # and not what a parent has switched off
    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from longshore.cli.main import main as run  # noqa: PLC0415 - see above

        if is_ours:
            signal.signal(signal.SIGINT, handler)
        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
