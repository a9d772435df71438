"""The only place that creates tasks: every one has a name and an owner that holds a reference.

``asyncio.create_task`` returns a task that the loop references only weakly; a task that nobody holds can
vanish in the middle of its work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["spawn"]

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


def spawn(
    coro: Coroutine[Any, Any, T], *, name: str, on_done: Callable[[asyncio.Task[T]], object] | None = None
) -> asyncio.Task[T]:
    """Start ``coro`` as a task that lives until it ends.

    Args:
        coro: the work; whoever spawns it also handles its errors.
        name: shown by debuggers and in ``asyncio.all_tasks()``.
        on_done: called with the ended task; who gives it also holds the task.
    """
    task = asyncio.get_running_loop().create_task(coro, name=name)
    if on_done is None:
        _running.add(task)
        on_done = _running.discard
    task.add_done_callback(on_done)
    return task
