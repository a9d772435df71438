"""A process that serves its host: how it begins, and what becomes of its errors."""

from __future__ import annotations

import contextlib
import gc
import resource
import signal
import traceback
from typing import TYPE_CHECKING, Final

from longshore.net.channel import Channel

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["EXIT_INTERNAL", "run_service"]

EXIT_INTERNAL: Final = 70

# A collection looks at everything that lives. With 20,000 new objects between two of them they do not count.
_GARBAGE_OBJECTS: Final = 20_000


def run_service(
    control: socket.socket,
    serve: Callable[[Channel], Awaitable[None]],
    make_loop: Callable[[], asyncio.AbstractEventLoop],
    ignored: Iterable[signal.Signals],
) -> int:
    """Serve until ``serve`` returns; return the exit code. To be called when everything is imported.

    Args:
        control: our end of the channel with the host.
        serve: what the process is for.
        make_loop: returns the event loop.
        ignored: signals of a terminal or a service manager that are the host's business.
    """
    # Nothing of what was imported is ever garbage; of what is made for a connection almost nothing is part of a cycle.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)
    _raise_open_files()
    for number in ignored:
        signal.signal(number, _pass)
    loop = make_loop()
    try:
        loop.run_until_complete(_run(control, serve))
    except BaseException:  # noqa: BLE001 - an error of our own, whatever it is, becomes an exit code
        traceback.print_exc()
        return EXIT_INTERNAL
    finally:
        loop.close()
    return 0


def _raise_open_files() -> None:
    """Take all the descriptors there may be: a process that serves others needs some for each of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS calls it unlimited, and takes no such number
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(control: socket.socket, serve: Callable[[Channel], Awaitable[None]]) -> None:
    channel = Channel(control)
    try:
        await serve(channel)
    finally:
        channel.close()


def _pass(_number: int, _frame: object) -> None:
    """Take a signal that is the host's business."""
