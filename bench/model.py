"""What a bench is made of, as values: tasks, contenders, targets, and what came out (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Bench",
    "BenchResult",
    "CaseResult",
    "ContenderSpec",
    "Extra",
    "Measure",
    "Missing",
    "Result",
    "Scale",
    "ServerSpec",
    "Target",
    "Task",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """The server of a task: a program of ``native/`` or a module of ``servers/``, with its arguments."""

    program: str
    """``native/NAME.c`` without the suffix, or ``bench.servers.NAME`` in full."""
    arguments: tuple[str, ...] = ()
    is_fresh: bool = False
    """True: one server for every process that is measured; else one for the whole run."""

    @property
    def is_module(self) -> bool:
        """Whether it is Python."""
        return "." in self.program


@dataclass(frozen=True, slots=True)
class Measure:
    """What a number of the table is."""

    unit: str
    lower_is_better: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is measured; with a loop's name behind it, it is a case of the result."""

    name: str
    verb: str
    """The function of the contender: ``echo``, ``bulk_in``, ``bulk_out``, ``dial``, ``idle``, ``flights``."""
    server: ServerSpec
    count: int
    mode: str = "plain"
    """``plain``, ``tls`` or ``starttls``."""
    value: Callable[[Mapping[str, float], int], float] = field(default=lambda reading, _: reading["seconds"])
    """Turns a reading and ``count`` into the number of the table."""
    measure: Measure | None = None
    """Of its number, where that is not the bench's."""

    @property
    def is_tls(self) -> bool:
        """Whether the client needs the certificate authority."""
        return self.mode != "plain"


@dataclass(frozen=True, slots=True)
class ContenderSpec:
    """Who takes part, in which tasks, and how its process is started."""

    name: str
    loop: str | None
    """``asyncio`` or ``uvloop``: it stands in the cases of that loop only; None: in those of both."""
    module: str
    """Of ``bench.contenders``; or ``native`` or ``node``."""
    requires: tuple[str, ...] = ()
    """Python packages (``trio``), programs (``!node``), or npm packages of ``bench/node`` (``npm:workerd``)."""
    verbs: frozenset[str] = frozenset()
    """What it can do."""
    modes: frozenset[str] = frozenset({"plain", "tls", "starttls"})
    """Over what it can do it."""

    def takes_part(self, task: Task) -> bool:
        """Tell whether the task is for this contender."""
        return task.verb in self.verbs and task.mode in self.modes

    @property
    def label(self) -> str:
        """The name with the loop, which is unique."""
        return f"{self.name} ({self.loop})" if self.loop else self.name


@dataclass(frozen=True, slots=True)
class Extra:
    """A further number of each contender, where its readings have it."""

    name: str
    key: str
    """Of the reading."""
    is_per_count: bool = False
    """Divide by the task's count."""
    is_worst: bool = False
    """Keep the largest of the rounds; else the median."""


@dataclass(frozen=True, slots=True)
class Target:
    """A claim that the run confirms or refutes: the subject's median over the best of the others."""

    claim: str
    case: str
    against: tuple[str, ...]
    """Contenders, the best of which counts; empty: ``bound`` is for the subject's own median."""
    relation: str
    """``<=``, ``<`` or ``>=``."""
    bound: float
    subject: str = "longshore"
    metric: str = "median"
    """Or the name of an extra of the subject, which is then divided by ``per``."""
    per: float = 1.0


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench by name: built for a scale, run by the harness."""

    name: str
    summary: str
    unit: str
    lower_is_better: bool
    tasks: tuple[Task, ...]
    contenders: tuple[ContenderSpec, ...]
    targets: tuple[Target, ...]
    loops: tuple[str, ...] = ("asyncio", "uvloop")
    extras: tuple[Extra, ...] = ()
    """What is kept beside the median."""
    quick_rounds: int | None = None
    """Of a quick run, where a round takes long; then there is none before them, either."""

    def measure_of(self, task: Task) -> Measure:
        """Return what the number of a task is."""
        return task.measure or Measure(self.unit, self.lower_is_better)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work: the counts of ``--quick`` or of a full run."""

    is_quick: bool = False
    rounds: int = 5
    """Counted rounds; one more is run first and thrown away."""

    def pick(self, full: int, quick: int) -> int:
        """Return the count for this scale."""
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Result:
    """One contender in one case."""

    median: float
    min: float
    max: float
    rounds: int
    extras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """Who could not take part, and why."""

    contender: str
    why: str
    has_failed: bool = False
    """True: it was there and broke off; False: it is not on this machine."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: who took part with which result, and who did not."""

    case: str
    unit: str
    lower_is_better: bool
    contenders: Mapping[str, Result]
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, judged. ``ratio`` is None when one side did not run, and then it is not met."""

    claim: str
    case: str
    ratio: float | None
    bound: float
    is_met: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All of a run."""

    bench: str
    machine: Mapping[str, object]
    cases: tuple[CaseResult, ...]
    targets: tuple[Verdict, ...]
    scale: Scale = Scale()
