"""Run a suite against a PostgreSQL of our own, directly or through a pool of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fix_postgres import AUTHENTICATION_OK, STARTUP, USER, make_cluster
from tests.server_process import HOST, free_port, require_program, running, says, server_directory
from tests.suites.catalogue import PREPARATION, SUITES
from tests.suites.fetch import copied, unpacked
from tests.suites.outcome import parse_pytest, parse_unittest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.suites.outcome import Outcome

__all__ = ["database", "pool", "run_suite"]

_LIMIT_S = 1200


@contextmanager
def database() -> Iterator[int]:
    """Yield the port of a new cluster with what the suites want to find."""
    postgres = require_program("postgres")
    port = free_port()
    values = {"listen_addresses": HOST, "port": port, "unix_socket_directories": "", "fsync": "off"}
    values |= {"max_prepared_transactions": 10, "max_connections": 200}
    words = [word for name, value in values.items() for word in ("-c", f"{name}={value}")]
    with server_directory("suites", USER) as directory:
        make_cluster(Path(postgres).with_name("initdb"), directory)
        command = [postgres, "-D", directory / "data", *words]
        is_ready = partial(says, port, AUTHENTICATION_OK, after=STARTUP)
        with running(command, is_ready, user=USER, directory=directory, stop_signal=signal.SIGINT):
            psql = ["psql", "-qX", "-h", HOST, "-p", str(port), "-U", USER, "-c", PREPARATION]
            subprocess.run(psql, check=True, capture_output=True)
            yield port


@contextmanager
def pool(upstream: int, *, size: int = 20, mode: str = "transaction") -> Iterator[int]:
    """Yield the port of a pool in front of ``upstream``."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="longshore-suites-") as folder:
        process = Path(__file__).with_name("pool_process.py")
        command = [sys.executable, process, str(upstream), str(port), str(size), mode]
        is_ready = partial(says, port, AUTHENTICATION_OK, after=STARTUP)
        with running(command, is_ready, directory=Path(folder), user=None, stop_signal=signal.SIGINT):
            yield port


def run_suite(name: str, port: int, store: Path, logs: Path, label: str) -> Outcome:
    """Run a suite at a port; its output is kept in ``logs``."""
    suite = SUITES[name]
    source = unpacked(suite, store)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.{label}.log"
    with tempfile.TemporaryDirectory(prefix="longshore-suite-") as place, log.open("w") as output:
        folder = copied(suite, source, Path(place))
        subprocess.run(
            suite.words(port, folder),
            check=False,
            cwd=folder,
            env={**os.environ, **suite.environment(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
        )
    lines = log.read_text(errors="replace").splitlines()
    return parse_unittest(lines) if suite.is_unittest else parse_pytest(lines)
