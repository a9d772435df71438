"""``python -m bench.contenders JSON``: run jobs in this fresh process, print one line of JSON for each.

The argument: ``{"module": "trio_stream", "loop": null, "jobs": [{"verb": "echo", "port": 1, "count": 9}]}``.
Started by the harness, which has already pinned it; only the work is timed, not the start of the interpreter.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

from bench.contenders.job import Contender, Job
from bench.contenders.memory import peak_rss_bytes, reset_peak

if TYPE_CHECKING:
    from bench.contenders.job import Reading


def _measured(contender: Contender, job: Job, loop: str | None) -> Reading:
    """Run one job; a bulk transfer also tells how far memory grew while it ran."""
    if not job.verb.startswith("bulk"):
        return contender.run(contender.verbs[job.verb], job, loop)
    before = reset_peak()
    reading = contender.run(contender.verbs[job.verb], job, loop)
    return {**reading, "rss_growth_bytes": max(0, peak_rss_bytes() - before)}


def _answer(contender: Contender, job: Job, loop: str | None) -> Reading | dict[str, str]:
    try:
        return _measured(contender, job, loop)
    except Exception as error:  # noqa: BLE001 - one job that fails must not take the others with it
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system does: ``idle`` opens ten thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(argument: str) -> None:
    """Run every job of the argument in order."""
    _raise_descriptor_limit()
    order = json.loads(argument)
    contender = import_module(f"bench.contenders.{order['module']}").CONTENDER
    try:
        for fields in order["jobs"]:
            print(json.dumps(_answer(contender, Job(**fields), order["loop"])), flush=True)
    finally:
        contender.close()
    os._exit(0)  # ten thousand idle sockets are the kernel's to close


if __name__ == "__main__":
    main(sys.argv[1])
