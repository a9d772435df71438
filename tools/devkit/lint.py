"""The checks of ``./dev lint``: all of them run, also after one has failed."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING

from tools.devkit.console import Failure, heading, run_quietly
from tools.devkit.venv import environment_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["STEPS", "fix", "lint"]

STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "format": ("code is formatted by ruff", ("ruff", "format", "--check", ".")),
    "rules": ("ruff's rules hold", ("ruff", "check", "--output-format=concise", ".")),
    "types": ("mypy strict", ("mypy",)),
    "imports": ("dependencies point down", ("lint-imports",)),
    "pure": ("PURE modules touch no I/O, clock or randomness", ("python", "-m", "tools.check_pure")),
    "sizes": ("files and functions stay small", ("python", "-m", "tools.check_sizes")),
    "docs": ("the documentation builds without a warning", ("mkdocs", "build", "--strict", "--quiet")),
}
"""Name, what holds when it passes, and the program of the environment that finds out."""


def lint(python: Path, names: Sequence[str]) -> int:
    """Run the named checks, or all; return 0 when every one passed."""
    if unknown := sorted(set(names) - set(STEPS)):
        raise Failure(f"no lint step {', '.join(unknown)!r}; there are: {', '.join(STEPS)}")
    results = {name: run_step(python, name) for name in names or STEPS}
    heading("lint")
    for name, (passed, remark) in results.items():
        print(f"  {'ok  ' if passed else 'FAIL'}  {name:<8} {remark}")
    failed = [name for name, (passed, _) in results.items() if not passed]
    print(f"\nlint: {len(results) - len(failed)} of {len(results)} checks passed", flush=True)
    return 1 if failed else 0


def run_step(python: Path, name: str) -> tuple[bool, str]:
    """Run one check; whether it passed, and one line about it. What it said is shown when it failed."""
    purpose, (program, *arguments) = STEPS[name]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as site:
        extra = ["--site-dir", site] if name == "docs" else []
        done = run_quietly([python.with_name(program), *arguments, *extra], environment=environment_of(python))
    remark = f"{purpose} ({time.monotonic() - started:.1f} s)"
    if done.code != 0:
        heading(f"{name}: {purpose}")
        print(done.output.strip(), flush=True)
        return False, f"{remark}; alone: ./dev lint {name}"
    if "warning" in done.output:
        heading(f"{name}: warnings")
        print(done.output.strip(), flush=True)
    return True, remark


def fix(python: Path) -> None:
    """Let ruff repair what it can, and format."""
    environment = environment_of(python)
    for arguments in (("check", "--fix", "--quiet", "--exit-zero", "."), ("format", "--quiet", ".")):
        run_quietly([python.with_name("ruff"), *arguments], environment=environment)
