"""Tests of ``longshore.runtime.worker.reporting``."""

from __future__ import annotations

import asyncio

from longshore.proto.ipc.messages import Drained, LogLine
from longshore.runtime.worker import reporting
from longshore.runtime.worker.reporting import ChannelReporter
from tests.net.test_channel import pair

LINE = LogLine(level="info", text="x" * 1000)


async def test_a_host_that_does_not_read_costs_no_memory_without_end() -> None:
    with pair() as (left, right):
        reporter = ChannelReporter(left, asyncio.get_running_loop())
        for _ in range(3 * reporting._MOST_UNSENT_BYTES // 1000):
            reporter.send(LINE)
            await asyncio.sleep(0)
        assert left.unsent_bytes < reporting._MOST_UNSENT_BYTES + 10_000
        reporter.send(Drained(cancelled_requests=1, cancelled_tasks=0))  # the host has to know this
        got = []
        while left.has_unsent:
            received = await right.receive()
            assert received is not None
            got.append(received[0])
        reporter.send(LINE)
        await left.flush()
        while got[-1] != LINE or len(got) < 2 or not isinstance(got[-2], LogLine) or got[-2].level != "warning":
            received = await right.receive()
            assert received is not None
            got.append(received[0])
        assert any(isinstance(each, Drained) for each in got)
        told = got[-2]
        assert isinstance(told, LogLine)
        lost = 3 * reporting._MOST_UNSENT_BYTES // 1000 + 1 - sum(each == LINE for each in got)
        assert told.text == f"{lost} lines and events of this worker are lost: the host did not read"
