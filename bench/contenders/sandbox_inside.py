"""Clients in a worker of ``longshore serve``, in its sandbox, as a user starts it.

The worker is told over HTTP what to do. All processes of Longshore, the egress process among them, share this process's
core, which is that of the client; nothing of them runs beside the server.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.contenders.forking import forked, idle_worker, project
from bench.contenders.http_load import free_port, serving
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking
from bench.contenders.sandbox_clients import CONNECT_VERBS, PROGRAM_VERBS, command_of

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading, Verb

__all__ = ["CONTENDER"]

_PATIENCE_S = 120.0


class _Host:
    """A running ``longshore serve``; kept for all jobs of this process."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self._port = free_port()
        file = stack.enter_context(project("jobs", self._port, 0, readable=(self.folder,)))
        command = [sys.executable, "-m", "longshore", "serve", "--config", str(file), "--isolation", "required"]
        stack.enter_context(serving(command, self._port, is_client=True))

    def ask(self, order: dict[str, Any]) -> Reading:
        """Have the worker do something."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_PATIENCE_S)
        connection.request("POST", "/", json.dumps(order))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the worker said {answer.status}: {body[:200]!r}")
        return cast("Reading", json.loads(body))


_stack = ExitStack()
_hosts: list[_Host] = []


def _host() -> _Host:
    if not _hosts:
        _hosts.append(_Host(_stack))
    return _hosts[0]


def _program(job: Job) -> Reading:
    host = _host()
    return host.ask({"command": command_of(job, host.folder)})


def _connect(job: Job) -> Reading:
    asked = {"verb": job.verb.removeprefix("connect_"), "port": job.port, "count": job.count}
    return _host().ask({"verb": asked["verb"], "job": asked})


def _cold(job: Job) -> Reading:
    return forked(job, isolation="required")


def _idle(job: Job) -> Reading:
    return idle_worker(job, isolation="required")


_verbs: dict[str, Verb] = {"cold": _cold, "idle": _idle}
_verbs |= dict.fromkeys(PROGRAM_VERBS, _program)
_verbs |= dict.fromkeys(CONNECT_VERBS, _connect)

CONTENDER = Contender(run_blocking, _verbs, _stack.close)
