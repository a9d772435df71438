"""A worker that runs one client per request: ``{"module", "loop", "is_own_process", "target"}`` in, what it says out.

A request without a body is answered with how the worker is shut in, as far as it can tell.
An async client runs on the worker's own loop where that is the kind asked for; on a loop of its own in a thread
otherwise. A blocking client runs in a thread, and one that wants a process of its own is a child of the worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from workers import Request, Response, WorkerEntrypoint

from tests.interop.run import bounded, client, is_async, perform
from tests.interop.target import Target

ROOT = Path(__file__).parent
LIMIT_S = 60.0


class Default(WorkerEntrypoint):
    """Runs clients."""

    async def fetch(self, request: Request) -> Response:
        """Run the client that the body names; a failure is a text with status 500."""
        if request.method == "GET":
            return Response.json({"interfaces": interfaces(), "seccomp": seccomp_mode()})
        job = await request.json()
        try:
            said = await answer(job)
        except Exception:  # noqa: BLE001 - whatever it is, the test wants to read it
            return Response(traceback.format_exc(), status=500)
        return Response(said)


async def answer(job: dict[str, Any]) -> str:
    """Run a client and return what it returns."""
    target = Target(**job["target"])
    if job["is_own_process"]:
        return await asyncio.to_thread(in_process, job["module"], job["loop"], target)
    run = await asyncio.to_thread(client, job["module"])
    if is_async(run) and job["loop"] == own_loop():
        return f"{await bounded(run(target))}"
    return await asyncio.to_thread(perform, run, job["loop"], target)


def interfaces() -> list[str]:
    """Return the names of the network interfaces that this process sees."""
    return sorted({name for _, name in socket.if_nameindex()})


def seccomp_mode() -> str:
    """Return 2 for a filter, 0 for none."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)["Seccomp"]


def own_loop() -> str:
    """Return what kind of loop the worker runs on."""
    return "uvloop" if "uvloop" in f"{type(asyncio.get_running_loop()).__mro__}" else "asyncio"


def in_process(module: str, loop: str, target: Target) -> str:
    """Run a client as a child process."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.interop.run", module, loop],
        input=target.to_json(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    if done.returncode != 0:
        raise RuntimeError(f"ended with {done.returncode}:\n{done.stderr}")
    return done.stdout
