"""The only place that creates tasks: every one has a name and an owner that holds a reference.

``asyncio.create_task`` returns a task that the loop references only weakly; a task that nobody holds can
vanish in the middle of its work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["spawn"]

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start ``coro`` as a task that lives until it ends.

    Args:
        coro: the work; whoever spawns it also handles its errors.
        name: shown by debuggers and in ``asyncio.all_tasks()``.
    """
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
