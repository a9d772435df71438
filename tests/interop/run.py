"""Run one client in a process of its own: ``python -m tests.interop.run MODULE LOOP``, the target as JSON on stdin.

What it returns is printed. ``client()`` and ``bounded()`` are what a worker calls for those that run in its process.

The client is imported before anything that brings OpenSSL: one of them has its own, which has to come first.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.interop.target import Target

__all__ = ["bounded", "client", "is_async", "perform"]

LIMIT_S = 45.0


def client(module: str) -> Callable[[Target], Any]:
    """Return the function ``run`` of a client."""
    run: Callable[[Target], Any] = importlib.import_module(f"tests.interop.clients.{module}").run
    return run


def is_async(run: Callable[[Target], Any]) -> bool:
    """Return whether a client runs on asyncio."""
    return inspect.iscoroutinefunction(run)


def perform(run: Callable[[Target], Any], loop: str, target: Target) -> str:
    """Run the client in this thread, on a loop of its own if it is async, and return what it returns."""
    if not is_async(run):
        return f"{run(target)}"
    import asyncio  # noqa: PLC0415 - brings ssl

    with asyncio.Runner(loop_factory=loop_class(loop)) as runner:
        return f"{runner.run(bounded(run(target)))}"


def loop_class(name: str) -> Any:
    """Return what makes the loop of that name."""
    if name == "uvloop":
        import uvloop  # noqa: PLC0415 - brings ssl

        return uvloop.Loop
    import asyncio  # noqa: PLC0415 - brings ssl

    return asyncio.SelectorEventLoop


async def bounded(running: Awaitable[Any]) -> Any:
    """Wait for a client, for so long and no longer."""
    import asyncio  # noqa: PLC0415 - brings ssl

    async with asyncio.timeout(LIMIT_S):
        return await running


def main(module: str, loop: str) -> None:
    """Run the client that the arguments name."""
    run = client(module)
    from tests.interop.target import Target  # noqa: PLC0415 - brings OpenSSL's libcrypto

    print(perform(run, loop, Target.from_json(sys.stdin.read())))  # noqa: T201 - for who called it


if __name__ == "__main__":
    main(*sys.argv[1:])
