"""Clients that are not logged in: one timer for all."""

from __future__ import annotations

import asyncio

from longshore.pool.clients.starting import Starting

LIMIT_S = 20.0


class Starter:
    """Notes when its time is over."""

    def __init__(self, starting: Starting, timeout_s: float) -> None:
        self.is_late = asyncio.Event()
        self._starting = starting
        starting.add(self, timeout_s)

    def abort(self) -> None:
        """See ``Starter``."""

    def time_out(self) -> None:
        """See ``Starter``."""
        assert self not in list(self._starting)
        self.is_late.set()


async def test_each_has_its_own_time() -> None:
    starting = Starting()
    long = Starter(starting, 3600.0)
    short = [Starter(starting, timeout_s) for timeout_s in (0.05, 0.01, 0.02)]
    held = Starter(starting, 0.0)
    starting.hold(held)
    gone = Starter(starting, 0.0)
    starting.discard(gone)
    starting.discard(gone)
    starting.hold(gone)
    async with asyncio.timeout(LIMIT_S):
        for each in short:
            await each.is_late.wait()
    assert set(starting) == {long, held}
    assert not any(each.is_late.is_set() for each in (long, held, gone))
    starting.close()


async def test_there_is_a_timer_for_those_who_come_later() -> None:
    starting = Starting()
    for _ in range(2):
        late = Starter(starting, 0.01)
        async with asyncio.timeout(LIMIT_S):
            await late.is_late.wait()
        assert not len(starting)
    starting.close()
