"""What a run of a suite says about each test (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Comparison", "Outcome", "parse_pytest", "parse_unittest"]

_WORDS = "PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS"
_VERBOSE = re.compile(rf"^(\S+::.+?) ({_WORDS})\b")
_SUMMARY = re.compile(r"^(FAILED|ERROR) (\S+::.+?)(?: - .*)?$")
_UNITTEST = re.compile(r"^(\w+) \(([\w.]+)\)")
_BARE = re.compile(r"(ok|FAIL|ERROR)")
_VERDICT = re.compile(r"(ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$")


@dataclass
class Outcome:
    """Tests by what became of them."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)

    def note(self, test: str, verdict: str) -> None:
        """Take one; a test that passed and whose clean-up failed has failed."""
        if verdict in ("PASSED", "XPASS", "ok", "unexpected success"):
            if test not in self.failed:
                self.passed.add(test)
        elif verdict.startswith(("FAIL", "ERROR")):
            self.passed.discard(test)
            self.failed.add(test)
        else:
            self.skipped.add(test)


@dataclass(frozen=True)
class Comparison:
    """A suite directly and through the pool."""

    direct: Outcome
    pooled: Outcome

    @property
    def broken(self) -> list[str]:
        """What passes directly and not through the pool."""
        return sorted(self.direct.passed - self.pooled.passed)

    @property
    def mended(self) -> list[str]:
        """What passes through the pool only."""
        return sorted(self.pooled.passed - self.direct.passed)


def parse_pytest(lines: Iterable[str]) -> Outcome:
    """Read the output of ``pytest -v -rfE``."""
    outcome = Outcome()
    for line in lines:
        if (found := _VERBOSE.match(line)) is not None:
            outcome.note(found[1], found[2])
        elif (found := _SUMMARY.match(line)) is not None:
            outcome.note(found[2], found[1])
    return outcome


def parse_unittest(lines: Iterable[str]) -> Outcome:
    """Read the output of ``unittest -v``: a name, perhaps a line of its docstring, then a verdict behind dots."""
    outcome = Outcome()
    name = ""
    for line in lines:
        if (found := _UNITTEST.match(line)) is not None:
            name = found[2] if found[2].endswith(f".{found[1]}") else f"{found[2]}.{found[1]}"
        # What a test prints may stand between its name and its verdict.
        verdict = _VERDICT.search(line.rstrip()) if "... " in line else _BARE.fullmatch(line.strip())
        if name and verdict is not None:
            outcome.note(name, verdict[1])
            name = ""
    return outcome
