"""Single keys of a terminal, while a program runs in the loop.

The terminal is in *cbreak* mode for as long as the block lasts: keys arrive at once and are not echoed, Ctrl-C still
sends its signal. Rule: whatever happens, the terminal is given back as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["can_read_keys", "reading_keys"]

ESCAPE: Final = "\x1b"
SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
"""ECMA-48 control sequences, and the shorter ones of keypads."""


def can_read_keys() -> bool:
    """Return whether there is a terminal on both sides, and this process is the one that it belongs to."""
    try:
        fd = sys.stdin.fileno()
        # A process in the background that touches the terminal is stopped by the kernel.
        return sys.stdin.isatty() and sys.stdout.isatty() and os.tcgetpgrp(fd) == os.getpgrp()
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def reading_keys(on_key: Callable[[str], None], on_end: Callable[[], None]) -> Iterator[None]:
    r"""Call ``on_key`` with each key, in the running loop.

    Args:
        on_key: gets one character; ``"\x1b"`` is the escape key itself. Arrows and their like are left out.
        on_end: the terminal is gone.
    """
    loop = asyncio.get_running_loop()
    fd = sys.stdin.fileno()
    former = termios.tcgetattr(fd)

    def read() -> None:
        try:
            data = os.read(fd, 1024)
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(fd)
            on_end()
            return
        for key in _keys(data):
            on_key(key)

    # After Ctrl-Z and `fg` the shell has set the terminal as it likes it.
    former_handler = signal.getsignal(signal.SIGCONT)
    loop.add_signal_handler(signal.SIGCONT, _set_cbreak, fd)
    loop.add_reader(fd, read)
    _set_cbreak(fd)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        loop.remove_signal_handler(signal.SIGCONT)
        signal.signal(signal.SIGCONT, former_handler)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, former)


def _set_cbreak(fd: int) -> None:
    # A terminal that is gone has no mode; the reader will notice.
    with contextlib.suppress(termios.error):
        tty.setcbreak(fd, termios.TCSADRAIN)


def _keys(data: bytes) -> str:
    """Return the keys, without those that send a sequence: arrows, function keys."""
    return SEQUENCE.sub("", data.decode(errors="ignore"))
