"""How a verb is run: on the stdlib loop or uvloop, under anyio, under trio, or plainly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from bench.contenders.job import AsyncVerb, Job, Reading, Verb

    AnyVerb: TypeAlias = Callable[[Job], Awaitable[Reading] | Reading]

__all__ = ["run_anyio", "run_asyncio", "run_blocking", "run_trio"]


async def _call(verb: AnyVerb, job: Job) -> Reading:
    return await cast("AsyncVerb", verb)(job)


def run_asyncio(verb: AnyVerb, job: Job, loop: str | None) -> Reading:
    """Run an asyncio verb on the loop named."""
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - one of the two loops, and maybe not installed

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_call(verb, job))
    return asyncio.run(_call(verb, job))


def run_anyio(verb: AnyVerb, job: Job, loop: str | None) -> Reading:
    """Run a verb under anyio, with the loop named below it."""
    import anyio  # noqa: PLC0415 - only this contender needs it

    return anyio.run(_call, verb, job, backend_options={"use_uvloop": loop == "uvloop"})


def run_trio(verb: AnyVerb, job: Job, loop: str | None) -> Reading:
    """Run a verb under trio, which has its own loop."""
    import trio  # noqa: PLC0415 - only this contender needs it

    assert loop is None
    return trio.run(_call, verb, job)


def run_blocking(verb: AnyVerb, job: Job, loop: str | None) -> Reading:
    """Call a verb that blocks."""
    assert loop is None
    return cast("Verb", verb)(job)
