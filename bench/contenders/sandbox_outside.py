"""The same clients as in ``sandbox_inside``, each in a process that nothing shuts in."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.contenders import longshore_socket
from bench.contenders.forking import forked, idle_worker
from bench.contenders.job import Contender
from bench.contenders.runners import run_asyncio, run_blocking
from bench.contenders.sandbox_clients import CONNECT_VERBS, PROGRAM_VERBS, command_of

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading, Verb

__all__ = ["CONTENDER"]


def _program(job: Job) -> Reading:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        done = subprocess.run(command_of(job, Path(folder)), capture_output=True, text=True, check=True)
    return cast("Reading", json.loads(done.stdout))


def _connect(job: Job) -> Reading:
    verb = longshore_socket.CONTENDER.verbs[job.verb.removeprefix("connect_")]
    return run_asyncio(verb, job, "uvloop")


def _cold(job: Job) -> Reading:
    return forked(job, isolation="off")


def _idle(job: Job) -> Reading:
    return idle_worker(job, isolation="off")


_verbs: dict[str, Verb] = {"cold": _cold, "idle": _idle}
_verbs |= dict.fromkeys(PROGRAM_VERBS, _program)
_verbs |= dict.fromkeys(CONNECT_VERBS, _connect)

CONTENDER = Contender(run_blocking, _verbs)
