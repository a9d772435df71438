"""``scheduled`` handlers in a real host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.host import running_host, worker_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.one_loop("asyncio"), pytest.mark.timeout(60)]

WORKER = """
import os
from workers import WorkerEntrypoint, Response

TOKEN = os.urandom(8).hex()

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        print("fired", controller.cron, controller.scheduledTime, TOKEN, flush=True)

    async def fetch(self, request):
        return Response("hello")
"""


async def test_a_cron_fires_in_one_of_two_workers(tmp_path: Path) -> None:
    config = worker_config(tmp_path, WORKER, crons=("0 0 1 1 *",))
    async with running_host(config, workers=2) as host:
        for _ in range(4):
            await host.command("fire 0 0 1 1 *")
            due = await host.next("CronDue", cron="0 0 1 1 *")
            finished = await host.next("FromWorker", worker_id=due["worker_id"])
            while finished["message"]["type"] != "ScheduledFinished":
                finished = await host.next("FromWorker", worker_id=due["worker_id"])
            assert finished["message"]["outcome"] == "ok"
        fired = [event["text"].split() for event in host.of("output")]
        assert len(fired) == 4, "once each"
        assert len({words[-1] for words in fired}) == 2, "the workers take turns"


async def test_a_handler_that_raises_is_reported(tmp_path: Path) -> None:
    source = WORKER.replace("print(", "raise LookupError('no such thing')\n        print(")
    async with running_host(worker_config(tmp_path, source)) as host:
        await host.command("fire * * * * *")
        failure = await host.message("HandlerFailed", where="scheduled")
        assert failure["subject"] == "cron * * * * *"
        assert failure["report"]["message"] == "no such thing"
