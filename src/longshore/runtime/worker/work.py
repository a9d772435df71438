"""Everything a worker is busy with: requests in flight, and what was given to ``wait_until``.

Theory of operation. A request is a ``Flight`` in a set while it is served; nothing else is made for it. Work given to
``wait_until`` is a task of its own, so neither the end of the request nor a client that leaves touches it. ``drain()``
waits for the set to become empty, then for the tasks (a request may start new ones), then cancels what is left, and
once more what has not ended by that. Tasks that a handler starts by itself are its own affair: they live as long as the
worker.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, cast

from longshore.aio.tasks import spawn
from longshore.runtime.worker.flight import End, Flight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from longshore.runtime.worker.failures import Failures
    from longshore.workers._context import RequestContext

__all__ = ["Work"]

CANCEL_GRACE_S = 1.0
"""How long cancelled requests and tasks may take for their ``finally`` blocks, each time they are cancelled."""

ENDING_S = 5.0
"""How long applications that handlers have called may take to shut down."""


class Work:
    """The requests and the tasks of one worker; the ``RequestHost`` of its contexts.

    Args:
        failures: told when a task fails.
    """

    def __init__(self, failures: Failures) -> None:
        self.flights: set[Flight] = set()
        self._failures = failures
        self._tasks: set[asyncio.Task[None]] = set()
        self._id_prefix = secrets.token_hex(3)
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: asyncio.Future[None] | None = None
        self._endings: list[Callable[[], Awaitable[object]]] = []

    # -- requests --------------------------------------------------------------------------------

    def begin(self, scope: Any, started: float) -> Flight:
        """Return the context of a request or event that begins now, in the current task."""
        self._count += 1
        flight = Flight(self, scope, self._count, started)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        # Without its argument it would ask for the loop every time, which costs more than all the rest here.
        flight.task = asyncio.current_task(loop)  # type: ignore[assignment] # there is one: this runs in coroutines
        self.flights.add(flight)
        return flight

    def end(self, flight: Flight) -> None:
        """Note that the request is over."""
        self.flights.discard(flight)
        flight.is_over = True
        if flight.timer is not None:
            flight.timer.cancel()
        if self._idle is not None and not self.flights:
            self._idle.set_result(None)
            self._idle = None

    def name_request(self, number: int) -> str:
        """Return the id of the request with this number."""
        return f"{self._id_prefix}-{number:x}"

    # -- wait_until ------------------------------------------------------------------------------

    def keep(self, awaitable: Awaitable[object], context: RequestContext) -> None:
        """Run ``awaitable`` to its end; callable from any thread."""
        loop = cast("Flight", context).task.get_loop()
        if _running_loop() is loop:
            self._start(awaitable, context)
        else:
            # This is a thread of a WSGI application, perhaps with a loop of its own, which ends before the work does.
            loop.call_soon_threadsafe(self._start, awaitable, context)

    def before_end(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Await ``callback()`` when the worker is drained."""
        self._endings.append(callback)

    def _start(self, awaitable: Awaitable[object], context: RequestContext) -> None:
        name = f"wait_until of {context.request_id}"
        self._tasks.add(spawn(self._run(awaitable, context), name=name, on_done=self._tasks.discard))

    async def _run(self, awaitable: Awaitable[object], context: RequestContext) -> None:
        try:
            await awaitable
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - it is the worker's error, whatever it is, and told as such
            self._failures.tell("wait_until", context, exc)

    # -- the end ---------------------------------------------------------------------------------

    async def wait_done(self, timeout_s: float) -> bool:
        """Wait for requests, then for ``wait_until`` work, and cancel nothing; return whether all is done.

        Cancellation: safe.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        await self._until_idle(deadline)
        await self._until_done(deadline)
        return not self.flights and not self._tasks

    async def drain(self, timeout_s: float) -> tuple[int, int]:
        """Wait for requests, then for ``wait_until`` work; cancel what is not done in time.

        Returns:
            How many requests and how many tasks were cancelled.

        Cancellation: safe; what is going on goes on.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._until_idle(deadline)
        await self._until_done(deadline)
        cancelled = len(self.flights), len(self._tasks)
        if any(cancelled):
            await self._cancel_all()
        await self._end_all()
        return cancelled

    async def _end_all(self) -> None:
        endings, self._endings = self._endings, []
        try:
            async with asyncio.timeout(ENDING_S):
                for callback in endings:
                    await callback()
        except TimeoutError:
            pass

    async def _until_idle(self, deadline: float) -> None:
        if not self.flights:
            return
        if self._idle is None:
            self._idle = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._idle)
        except TimeoutError:
            pass

    async def _until_done(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while self._tasks and (left_s := deadline - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)

    async def _cancel_all(self) -> None:
        """Cancel, and once more what waits for something in a ``finally``; then it is abandoned."""
        for _ in range(2):
            for flight in list(self.flights):
                if flight.end is None:
                    flight.cancel(End.DRAINED)
                else:
                    flight.cancel_again()
            for task in list(self._tasks):
                task.cancel(End.DRAINED.value)
            deadline = asyncio.get_running_loop().time() + CANCEL_GRACE_S
            await self._until_idle(deadline)
            await self._until_done(deadline)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
