"""The command line: ``python -m bench NAME``, ``report``, ``list``. The only module that prints."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness import absence, run_bench
from bench.jsonform import from_json, to_json
from bench.model import Scale
from bench.native_build import BuildError
from bench.report import performance_page
from bench.suite import NAMES, bench_named
from bench.table import render

if TYPE_CHECKING:
    from bench.model import BenchResult

_PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_USAGE, _FAILED, _INTERRUPTED, _TERMINATED = 64, 1, 130, 143

_DESCRIPTION = """\
Measure Longshore beside what it could be compared with, in one run.

  echo      64 B round trips            what a call costs
  bulk      1 GiB in and out, TLS too   what a byte costs
  dial      connect, one byte, close    what a connection costs
  idle      10,000 open sockets         what an open socket costs
  flights   round trips before the first request byte leaves
  http          requests to a hello worker       what the platform costs
  http-socket   a socket to elsewhere a request  what a worker that connects costs
  cold          start to first byte              what a new worker process costs
  sandbox       clients in a worker and outside  what the sandbox costs them
  pool          pgbench, and a connection each time    the pool beside PgBouncer
  pool-cache    cached reads, with and without delay     the cache beside no cache
  pool-worker   a worker that asks PostgreSQL    the binding beside PgBouncer

  report    run all of them in full and write docs/performance.md
  list      show who takes part, and who cannot on this machine, and why
"""

_EPILOG = """\
examples:
  python -m bench echo --quick                        half a minute, to see where one stands
  python -m bench echo --only longshore,c             two contenders, full length
  python -m bench bulk --json bulk.json               the result for programs
  python -m bench report --from DIR                   the page from DIR/*.json, nothing is run

Ratios are ours over theirs: below 1 is better for times and memory, above 1 for rates. A target that is not
met is shown and changes no exit code; 1 means that a contender broke off. Close other programs first: two
cores are used fully.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("name", choices=[*NAMES, "report", "list"], metavar="NAME", help="what to run, see above")
    option("--quick", action="store_true", help="less work: ready within 30 s, only a first look")
    option("--rounds", type=int, default=5, metavar="N", help="counted rounds (default: %(default)s)")
    option("--only", default="", metavar="A,B", help="contenders by name, as `list` shows them")
    option("--json", type=Path, metavar="FILE", help="write the result as JSON (report: a directory)")
    option("--from", dest="source", type=Path, metavar="DIR", help="report: read DIR/*.json, run nothing")
    return parser


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _run(name: str, scale: Scale, only: frozenset[str]) -> BenchResult:
    start = time.monotonic()
    result = run_bench(bench_named(name, scale), scale, only, _progress)
    _progress("")
    print(render(result))
    print(f"\n{result.scale.rounds} rounds in {time.monotonic() - start:.0f} s\n")
    return result


def _write_json(result: BenchResult, path: Path) -> None:
    path.write_text(json.dumps(to_json(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_results(directory: Path) -> list[BenchResult]:
    paths = [directory / f"{name}.json" for name in NAMES]
    return [from_json(json.loads(path.read_text(encoding="utf-8"))) for path in paths if path.exists()]


def _run_all(scale: Scale, only: frozenset[str], directory: Path | None) -> list[BenchResult]:
    results = []
    for name in NAMES:
        results.append(_run(name, scale, only))
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            _write_json(results[-1], directory / f"{name}.json")
    return results


def _list() -> None:
    for name in NAMES:
        bench = bench_named(name, Scale())
        print(f"{name}: {bench.summary} ({bench.unit})")
        for contender in bench.contenders:
            why = absence(contender)
            print(f"  {contender.label}" + (f": missing, {why}" if why else ""))


def _known(only: str) -> frozenset[str]:
    wanted = frozenset(only.split(",")) - {""}
    known = {contender.name for name in NAMES for contender in bench_named(name, Scale()).contenders}
    unknown = sorted(wanted - known)
    if unknown:
        raise ValueError(f"--only: no contender {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return wanted


def _exit_code(results: list[BenchResult]) -> int:
    absent = [item for result in results for case in result.cases for item in case.missing]
    failed = {(item.contender, item.why) for item in absent if item.has_failed}
    for contender, why in sorted(failed):
        print(f"{contender} {why}", file=sys.stderr)
    return _FAILED if failed else 0


def _report(options: argparse.Namespace, scale: Scale, only: frozenset[str]) -> int:
    results = _read_results(options.source) if options.source else _run_all(scale, only, options.json)
    if not results:
        raise ValueError(f"--from: no result in {str(options.source)!r}; expected files like 'echo.json'")
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(performance_page(results), encoding="utf-8")
    print(f"wrote docs/{_PAGE.name}")
    return _exit_code(results)


def _dispatch(options: argparse.Namespace) -> int:
    only = _known(options.only)
    if options.rounds < 1:
        raise ValueError(f"--rounds: {options.rounds}, expected at least 1")
    scale = Scale(options.quick, options.rounds)
    if options.name == "list":
        _list()
        return 0
    if options.name == "report":
        return _report(options, scale, only)
    result = _run(options.name, scale, only)
    if options.json:
        _write_json(result, options.json)
    return _exit_code([result])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _dispatch(options)
    except (BuildError, ValueError) as error:
        print(error, file=sys.stderr)
        return _USAGE
    except KeyboardInterrupt:
        print("\ninterrupted; every process of the run has been ended", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # through every finally
    sys.exit(main())
