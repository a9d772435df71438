"""Runs a bench: every contender in the same run, rounds interleaved A B A B, processes pinned (DESIGN §6).

Round 0 warms the machine up and is thrown away. In each round every contender runs once, in a process of its
own, on the client's core; servers run on the other. A contender that breaks off is reported and left out from
then on.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.certificates import make_certificates
from bench.commands import Workshop
from bench.machine import cores, facts
from bench.model import BenchResult, CaseResult, Missing
from bench.native_build import NativePrograms
from bench.processes import ROOT, ContenderFailed, measure, server
from bench.stats import judge_all, reduce_extra, summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bench.model import Bench, ContenderSpec, Result, Scale, ServerSpec, Task
    from bench.processes import Answer

__all__ = ["absence", "run_bench"]

Key = tuple[str, str]
"""Label of a contender, name of a task."""


def absence(contender: ContenderSpec) -> str | None:
    """Return why a contender cannot run on this machine, None when it can."""
    for name in contender.requires:
        if name.startswith("npm:"):
            if not (ROOT / "bench" / "node" / "node_modules" / name.removeprefix("npm:")).exists():
                return f"npm package {name.removeprefix('npm:')!r} is not installed in bench/node"
        elif name.startswith("!"):
            if shutil.which(name[1:]) is None:
                return f"program {name[1:]!r} is not on this machine"
        elif find_spec(name) is None:
            return f"python package {name!r} is not installed"
    return None


def run_bench(
    bench: Bench, scale: Scale, only: Collection[str] = (), progress: Callable[[str], None] = lambda _: None
) -> BenchResult:
    """Run a bench and judge its targets.

    Args:
        bench: What to measure.
        scale: How much of it.
        only: Names of contenders; empty for all.
        progress: Told what is being run.

    Raises:
        BuildError: the servers, written in C, could not be compiled.
    """
    if scale.is_quick and bench.quick_rounds is not None:
        scale = replace(scale, rounds=min(scale.rounds, bench.quick_rounds))
    chosen = [contender for contender in bench.contenders if not only or contender.name in only]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        workshop = Workshop(NativePrograms(directory), make_certificates(directory), scale.is_quick)
        run = _Run(bench, workshop, stack, is_quick=scale.is_quick)
        run.rounds(chosen, scale.rounds, progress)
    cases = run.cases(chosen)
    return BenchResult(bench.name, facts(), cases, judge_all(bench.targets, cases), scale)


class _Run:
    """The samples of one run, and the servers it keeps."""

    def __init__(self, bench: Bench, workshop: Workshop, stack: ExitStack, *, is_quick: bool) -> None:
        self._bench = bench
        self._is_quick = is_quick
        self._workshop = workshop
        self._stack = stack
        pair = cores()
        self._client_core = pair[0] if pair else None
        self._server_core = pair[1] if pair else None
        self._ports: dict[ServerSpec, int] = {}
        self._samples: dict[Key, list[Answer]] = defaultdict(list)
        self._missing: dict[Key, Missing] = {}

    def rounds(self, chosen: Sequence[ContenderSpec], count: int, progress: Callable[[str], None]) -> None:
        """Run the warm-up round and the counted ones; where a round takes long, a quick run has no warm-up."""
        for contender in chosen:
            why = absence(contender)
            if why:
                self._drop(contender, self._tasks_of(contender), Missing(contender.name, why))
        is_first_kept = self._is_quick and self._bench.quick_rounds is not None
        for number in range(1 if is_first_kept else 0, count + 1):
            for contender in chosen:
                progress(f"{self._bench.name}: round {number} of {count}, {contender.label}")
                self._round(contender, number)

    def _tasks_of(self, contender: ContenderSpec) -> list[Task]:
        return [
            task
            for task in self._bench.tasks
            if contender.takes_part(task) and (contender.label, task.name) not in self._missing
        ]

    def _drop(self, contender: ContenderSpec, tasks: Sequence[Task], missing: Missing) -> None:
        for task in tasks:
            self._missing[contender.label, task.name] = missing

    def _round(self, contender: ContenderSpec, number: int) -> None:
        tasks = self._tasks_of(contender)
        if not tasks:
            return
        for task, answer in zip(tasks, self._answers(contender, tasks), strict=True):
            if "error" in answer:
                why = f"failed in round {number}: {answer['error']}"
                self._drop(contender, [task], Missing(contender.name, why, has_failed=True))
            elif number:
                self._samples[contender.label, task.name].append(answer)

    def _answers(self, contender: ContenderSpec, tasks: Sequence[Task]) -> list[Answer]:
        with ExitStack() as fresh:
            ported = [(task, self._port(task.server, fresh)) for task in tasks]
            commands = self._workshop.clients(contender, ported)
            answers: list[Answer] = []
            for command in commands:
                answers += self._measured(command, len(tasks) // len(commands))
        return answers

    def _measured(self, command: Sequence[str], expected: int) -> list[Answer]:
        try:
            answers = measure(command, self._client_core)
        except ContenderFailed as error:
            return [{"error": str(error)}] * expected
        if len(answers) != expected:
            return [{"error": f"printed {len(answers)} readings, not {expected}"}] * expected
        return answers

    def _port(self, spec: ServerSpec, fresh: ExitStack) -> int:
        if spec.is_fresh:
            return fresh.enter_context(server(self._workshop.server(spec), self._server_core))
        if spec not in self._ports:
            command = self._workshop.server(spec)
            self._ports[spec] = self._stack.enter_context(server(command, self._server_core))
        return self._ports[spec]

    def cases(self, chosen: Sequence[ContenderSpec]) -> tuple[CaseResult, ...]:
        """Return the result of every task on every loop."""
        bench = self._bench
        return tuple(self._case(task, loop, chosen) for task in bench.tasks for loop in bench.loops)

    def _case(self, task: Task, loop: str, chosen: Sequence[ContenderSpec]) -> CaseResult:
        results: dict[str, Result] = {}
        missing = []
        for contender in chosen:
            key = (contender.label, task.name)
            if contender.loop not in (None, loop) or not contender.takes_part(task):
                continue
            if key in self._missing:
                missing.append(self._missing[key])
            else:
                results[contender.name] = self._result(task, self._samples[key])
        measure = self._bench.measure_of(task)
        name = f"{task.name}, {loop}"
        return CaseResult(name, measure.unit, measure.lower_is_better, results, tuple(missing))

    def _result(self, task: Task, samples: Sequence[Answer]) -> Result:
        extras = {
            extra.name: reduce_extra(extra, [sample[extra.key] for sample in samples], task.count)
            for extra in self._bench.extras
            if all(extra.key in sample for sample in samples)
        }
        return summarize([task.value(sample, task.count) for sample in samples], extras)
