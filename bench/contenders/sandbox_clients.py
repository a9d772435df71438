"""What both sides of ``sandbox`` run: the commands of unmodified clients, and the names of the verbs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.native_build import NativePrograms
from bench.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from bench.contenders.job import Job

__all__ = ["CONNECT_VERBS", "PROGRAM_VERBS", "command_of"]

_C_PROGRAMS = {
    "c_dial": ("dial_client",),
    "c_echo": ("echo_client",),
    "c_bulk_in": ("bulk_client", "in"),
    "c_bulk_out": ("bulk_client", "out"),
}
PROGRAM_VERBS = ("python_dial", *_C_PROGRAMS)
"""Run by programs that know nothing of Longshore."""
CONNECT_VERBS = ("connect_dial", "connect_echo", "connect_bulk_in", "connect_bulk_out")
"""Run by ``connect()``."""


def command_of(job: Job, folder: Path) -> list[str]:
    """Return the command of a client that knows nothing of Longshore.

    Args:
        job: what it is to do.
        folder: where it is compiled, if it has to be.
    """
    if job.verb in _C_PROGRAMS:
        program, *direction = _C_PROGRAMS[job.verb]
        return [NativePrograms(folder).path(program), *direction, str(job.port), str(job.count)]
    order = {
        "module": "blocking_socket",
        "loop": None,
        "jobs": [{"verb": "dial", "port": job.port, "count": job.count}],
    }
    # A worker's working directory is not the repository's.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from bench.contenders.__main__ import main; main(sys.argv[1])"
    )
    return [sys.executable, "-c", code, json.dumps(order)]
