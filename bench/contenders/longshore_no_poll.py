"""Longshore without its busy polling: it sleeps until the kernel wakes it, as every other contender does.

Beside ``longshore`` this tells what the library costs apart from what not sleeping saves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contenders.job import Contender
from bench.contenders.longshore_socket import CONTENDER as POLLING
from bench.contenders.runners import run_asyncio
from longshore import DirectDialer, set_default_dialer

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading
    from bench.contenders.runners import AnyVerb

__all__ = ["CONTENDER"]


def _run(verb: AnyVerb, job: Job, loop: str | None) -> Reading:
    set_default_dialer(DirectDialer(busy_poll_s=0))
    return run_asyncio(verb, job, loop)


CONTENDER = Contender(_run, {verb: POLLING.verbs[verb] for verb in ("echo", "dial")})
