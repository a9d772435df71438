"""What a fork of the zygote has to do to become a process of its own, and to end as one."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import signal
import sys
import weakref
from typing import Any

from longshore.sandbox.privileges import name_process as set_process_name

__all__ = ["end_loop", "name_process", "prepare_process", "run_exit_handlers"]

_THREADS_S = 2.0
"""How long threads of the default executor may take to end."""


def prepare_process() -> None:
    """Drop what was inherited and is not ours: signal handlers, exit handlers, a buffered stdout."""
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    # What a terminal or a service manager sends to the whole group is for the host to obey. A handler and not SIG_IGN:
    # programs that the worker starts must not inherit it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)
    _forget_exit_handlers()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # replaced, closed or detached
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper has it


def name_process(name: str) -> None:
    """Show ``name`` (15 characters of it) in ``ps`` and ``top``, where the system makes that cheap."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            set_process_name(name)


def end_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs in the loop and close it, in bounded time."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=_THREADS_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(_end_threads(loop))
    finally:
        # uvloop refuses while a TLS transport of the user's still has bytes to hand over. The process ends anyway.
        with contextlib.suppress(OSError, RuntimeError):
            loop.close()


def run_exit_handlers() -> None:
    """Do what Python does at the end of a program and ``os._exit`` leaves out: ``atexit`` and the last output."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def _ignore(_number: int, _frame: Any) -> None:
    pass


def _forget_exit_handlers() -> None:
    """Leave those that the parent registered to the parent."""
    atexit._clear()
    # It registers itself once for all finalizers; those that the user's module makes must run here.
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # see Lib/weakref.py


async def _end_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Let the threads of the default executor end; one that hangs must not keep the process."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_THREADS_S):
            await loop.shutdown_default_executor()
