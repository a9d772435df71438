"""Does what the bench asks for, where a worker does it: with ``connect()``, or by a program that it starts."""

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, cast

from workers import Request, Response, WorkerEntrypoint

if TYPE_CHECKING:
    from bench.contenders.job import AsyncVerb


class Default(WorkerEntrypoint):
    """Runs one job for each request."""

    async def fetch(self, request: Request) -> Response:
        """Answer with the reading."""
        if request.method == "GET":
            return Response("ready\n")
        order = await request.json()
        if "command" in order:
            return Response(await asyncio.to_thread(_output, order["command"]))
        if self.env.BENCH not in sys.path:
            sys.path.append(self.env.BENCH)
        from bench.contenders import longshore_socket  # noqa: PLC0415 - now it can be found
        from bench.contenders.job import Job  # noqa: PLC0415 - the same

        verb = cast("AsyncVerb", longshore_socket.CONTENDER.verbs[order["verb"]])
        return Response(json.dumps(await verb(Job(**order["job"]))))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
    return done.stdout
