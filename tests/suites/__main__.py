"""``python -m tests.suites NAME… [--direct|--pool]`` runs suites; ``python -m tests.suites report`` writes the page."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.suites.catalogue import SUITES
from tests.suites.report import write_report
from tests.suites.run import database, pool, run_suite

if TYPE_CHECKING:
    from tests.suites.outcome import Outcome

_STORE = Path(tempfile.gettempdir()) / "longshore-suites"
_WAYS = ("direct", "pool")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*SUITES, "all", "report"], metavar="NAME", help=", ".join(SUITES))
    parser.add_argument("--direct", action="store_true", help="only without the pool")
    parser.add_argument("--pool", action="store_true", help="only through the pool")
    parser.add_argument("--store", type=Path, default=_STORE, help="keeps sdists, logs and results (%(default)s)")
    arguments = parser.parse_args()
    names = list(SUITES) if "all" in arguments.names else [name for name in arguments.names if name != "report"]
    ways = [way for way in _WAYS if getattr(arguments, way)] or list(_WAYS)
    for name in names:
        for way in ways:
            _run(name, way, arguments.store)
    if "report" in arguments.names or "all" in arguments.names:
        write_report(arguments.store / "results")


def _run(name: str, way: str, store: Path) -> None:
    with database() as upstream:
        if way == "direct":
            outcome = run_suite(name, upstream, store, store / "logs", way)
        else:
            with pool(upstream) as port:
                outcome = run_suite(name, port, store, store / "logs", way)
    _keep(outcome, store / "results" / f"{name}.{way}.json")
    counts = f"{len(outcome.passed)} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped"
    sys.stdout.write(f"{name}, {way}: {counts}\n")
    sys.stdout.flush()


def _keep(outcome: Outcome, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: sorted(tests) for name, tests in vars(outcome).items()}, indent=1))


if __name__ == "__main__":
    main()
