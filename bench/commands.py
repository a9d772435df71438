"""Turns a contender and its tasks into the commands that measure it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.processes import ROOT, python

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.certificates import Certificates
    from bench.model import ContenderSpec, ServerSpec, Task
    from bench.native_build import NativePrograms

__all__ = ["Workshop"]

Job = dict[str, object]
"""The fields of ``contenders.job.Job``."""


class Workshop:
    """Knows where programs and certificates of this run are."""

    def __init__(self, programs: NativePrograms, certificates: Certificates, is_quick: bool) -> None:
        self._programs = programs
        self._certificates = certificates
        self._is_quick = is_quick

    def server(self, spec: ServerSpec) -> list[str]:
        """Return the command of a server."""
        if spec.is_module:
            return python(spec.program, self._certificates.server, *spec.arguments)
        return [self._programs.path(spec.program), *spec.arguments]

    def clients(self, contender: ContenderSpec, tasks: Sequence[tuple[Task, int]]) -> list[list[str]]:
        """Return the commands that run the tasks, each with the port of its server, in this order.

        Every task has a process of its own, so that none finds the heap another one left; in a quick run a
        Python contender does them all in one, as starting it takes longer than they do.
        """
        if contender.module == "native":
            return [self._native(task, port) for task, port in tasks]
        if contender.module == "node":
            return [self._node(task, port) for task, port in tasks]
        jobs = [self._job(task, port) for task, port in tasks]
        shared = [jobs] if self._is_quick else [[job] for job in jobs]
        return [self._python(contender, group) for group in shared]

    def _python(self, contender: ContenderSpec, jobs: list[Job]) -> list[str]:
        order = {"module": contender.module, "loop": contender.loop, "jobs": jobs}
        return python("bench.contenders", json.dumps(order))

    def _job(self, task: Task, port: int) -> Job:
        ca = self._certificates.ca if task.is_tls else None
        return {"verb": task.verb, "port": port, "count": task.count, "ca": ca, "mode": task.mode}

    def _native(self, task: Task, port: int) -> list[str]:
        program, *direction = task.verb.split("_")
        return [self._programs.path(f"{program}_client"), *direction, str(port), str(task.count)]

    def _node(self, task: Task, port: int) -> list[str]:
        program, *direction = task.verb.split("_")
        script = ["node", str(ROOT / "bench" / "node" / f"{program}.js")]
        ca = [self._certificates.ca] if task.is_tls else []
        if program == "flights":
            return [*script, str(port), *(ca or ["-"]), task.mode]
        return [*script, *direction, str(port), str(task.count), *ca]
