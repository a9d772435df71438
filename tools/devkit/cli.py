"""The sub-commands of ``./dev``."""

from __future__ import annotations

import difflib
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.devkit import lint, system, venv
from tools.devkit.console import ROOT, Failure, note, progress, run, run_quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["COMMANDS", "main"]

USAGE_ERROR = 64
"""EX_USAGE of sysexits.h."""


@dataclass(frozen=True)
class Command:
    """One sub-command."""

    run: Callable[[list[str]], int]
    usage: str
    summary: str
    details: str


def main(arguments: Sequence[str]) -> int:
    """Run ``./dev`` with these arguments; return its exit code."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        print(f"dev: no command {name!r}{hint}\n\n{overview()}", file=sys.stderr)
        return USAGE_ERROR
    if rest[:1] in (["-h"], ["--help"]):
        print(f"usage: ./dev {COMMANDS[name].usage}\n\n{COMMANDS[name].details}")
        return 0
    return guarded(name, rest)


def guarded(name: str, rest: list[str]) -> int:
    """Run a command; a failure of ours is a message, not a traceback."""
    try:
        return COMMANDS[name].run(rest)
    except Failure as failure:
        note(str(failure))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def overview() -> str:
    """Return the help of ``./dev``."""
    lines = "\n".join(f"  {command.usage:<28} {command.summary}" for command in COMMANDS.values())
    return (
        "usage: ./dev COMMAND [ARGUMENTS]\n\n"
        f"{lines}\n\n"
        "Each command first makes .venv, or brings it in line with requirements.lock: with uv where it is\n"
        "installed, with python3 -m venv otherwise. ./dev COMMAND --help tells more."
    )


def setup(rest: list[str]) -> int:
    """Make everything ready and do nothing with it."""
    refuse(rest)
    python = venv.ready_python()
    provide(list(system.PACKAGES))
    note(f"ready: {python}")
    return 0


def demo(rest: list[str]) -> int:
    """Run a worker against a real PostgreSQL."""
    return in_venv(["-m", "longshore", "demo", *rest])


def test(rest: list[str]) -> int:
    """Run the tests."""
    venv.ready_python()
    provide(list(system.PACKAGES))
    return in_venv(["-m", "pytest", *rest])


def bench(rest: list[str]) -> int:
    """Run benches."""
    venv.ready_python()
    provide(["gcc", "node", "wrk"])
    provide_npm_packages()
    return in_venv(["-m", "bench", *rest])


def run_lint(rest: list[str]) -> int:
    """Run the checks."""
    python = venv.ready_python()
    if "--fix" in rest:
        lint.fix(python)
    return lint.lint(python, [word for word in rest if word != "--fix"])


def compile_pool(rest: list[str]) -> int:
    """Compile the hot modules of the pool."""
    venv.ready_python()
    provide(["gcc"])
    return in_venv(["-m", "tools.compile_pool", *rest])


def docs(rest: list[str]) -> int:
    """Build the documentation, or pass the arguments to mkdocs."""
    return in_venv(["-m", "mkdocs", *(rest or ["build", "--strict"])])


def lock(rest: list[str]) -> int:
    """Write the lock file."""
    refuse([word for word in rest if word != "--upgrade"])
    venv.write_lock(upgrade="--upgrade" in rest)
    return 0


def in_venv(arguments: list[str]) -> int:
    """Run the environment's Python."""
    python = venv.ready_python()
    return run([python, *arguments], environment=venv.environment_of(python))


def refuse(rest: list[str]) -> None:
    """Complain about arguments of a command that takes none."""
    if rest:
        raise Failure(f"unexpected argument {rest[0]!r}")


def provide(names: list[str]) -> None:
    """Install the missing ones of these programs where that is possible; otherwise name them and go on."""
    missing = [name for name in names if system.find_program(name) is None]
    if not missing:
        return
    packages = " ".join(system.PACKAGES[name].debian for name in missing)
    if not system.can_install():
        for name in missing:
            note(f"{name} is not installed; it is for {system.PACKAGES[name].for_what}")
        note(f"to install them on Debian or Ubuntu: apt-get install --no-install-recommends {packages}")
        return
    with progress(f"apt-get install {packages}"):
        trouble = system.install(packages.split())
    if trouble is not None:
        note(f"could not install {packages}; going on without.\n{trouble}")


def provide_npm_packages() -> None:
    """Install what the benches compare with; without npm they go on without it."""
    folder = ROOT / "bench" / "node"
    if (folder / "node_modules").exists() or shutil.which("npm") is None:
        return
    # The scripts of packages are not run: all that is wanted lies in them as it is.
    words = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    with progress("npm install in bench/node"):
        done = run_quietly(["npm", "install", "--prefix", folder, *words])
    if done.code != 0:
        note(f"could not install the npm packages of bench/node; going on without.\n{done.tail(8)}")


COMMANDS: dict[str, Command] = {
    "demo": Command(
        demo,
        "demo [--once] [--port PORT]",
        "a worker that asks a real PostgreSQL, and its answer over HTTP",
        "Starts a PostgreSQL of its own on a free port of the loopback interface, fills a table, and runs a worker\n"
        "that answers with its rows. Runs until Ctrl-C and then removes everything; --once ends after the first\n"
        "right answer. It is `longshore demo`, in the environment that ./dev makes.",
    ),
    "test": Command(
        test,
        "test [PYTEST ARGUMENTS]",
        "all tests, on the stdlib loop and on uvloop",
        "Runs pytest; arguments are passed on: ./dev test tests/net -k happy_eyeballs\n\n"
        "Tests against real servers need system packages. As root on Debian the missing ones are installed\n"
        "with apt-get, without starting any service; elsewhere they are named, and the tests that need them\n"
        "are skipped with the reason. With CI=true nothing is skipped: what is missing fails.\n\n"
        "LONGSHORE_VENV=.venv-3.13 python3.13 dev test   runs them on another Python.",
    ),
    "lint": Command(
        run_lint,
        "lint [--fix] [STEP ...]",
        "formatting, rules, types, layers, sizes, documentation",
        "Runs every step, also after one failed, and ends with a table. --fix lets ruff repair first.\n\n"
        "Steps:\n" + "\n".join(f"  {name:<8} {purpose}" for name, (purpose, _) in lint.STEPS.items()),
    ),
    "bench": Command(
        bench,
        "bench [NAME ...]",
        "measure against C, asyncio, anyio, trio, uvicorn, Node.js and workerd",
        "Runs python -m bench NAME …; without a name it lists the benches. Only ratios within one run mean\n"
        "anything. Wants a C compiler and Node.js; contenders that are missing are named and left out.",
    ),
    "compile": Command(
        compile_pool,
        "compile [--clean]",
        "the hot modules of the pool as C, with mypyc",
        "Compiles a few modules of longshore.pool from the sources that lie here. The pool uses the result as long\n"
        "as those sources are the same, and says so in its banner; LONGSHORE_PURE=1 does without, --clean takes it\n"
        "away. Nothing needs it: the same sources run as they are.",
    ),
    "docs": Command(
        docs,
        "docs [MKDOCS ARGUMENTS]",
        "build the documentation into site/",
        "Builds strictly: a warning is an error. ./dev docs serve shows it at http://127.0.0.1:8000 instead.",
    ),
    "setup": Command(
        setup,
        "setup",
        "only make .venv and install what tests need",
        "Makes .venv and installs the system packages the tests need, as ./dev test would.",
    ),
    "lock": Command(
        lock,
        "lock [--upgrade]",
        "resolve the dependencies into requirements.lock (needs uv)",
        "Writes requirements.lock from pyproject.toml: exact versions with hashes for every supported\n"
        "Python and platform. Versions that still fit are kept; --upgrade takes the newest.",
    ),
}
