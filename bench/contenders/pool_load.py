"""What the contenders of ``pool`` share: a PostgreSQL, pgbench in front of whoever takes part, and its readings.

PgBouncer 1.18 knows no prepared statements in its transaction mode: for those it runs in session mode, which is less
work. Nothing is pinned: with two cores the client, the pool and the database share them in every contender alike. A
count is a number of transactions. Everybody logs in without a password and without TLS, which is the quickest a pool
can do.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_load import ROOT, free_port
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking
from bench.servers.postgres import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bench.contenders.job import Job, Reading

    Serve = Callable[[int], AbstractContextManager[tuple[int, int | None]]]
    """Runs a pool in front of a port: the value is its port, and its process where its time is to be counted."""

__all__ = ["CLIENTS", "MODES", "POOL_SIZE", "SESSIONS", "contender", "longshore_command", "pgbouncer", "started"]

MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 8, 50)
SESSIONS = "sessions"
"""What the database is called where PgBouncer must not share server connections."""
POOL_SIZE = 20
_CONNECTING_CLIENTS = 8
_START_LIMIT_S = 20.0
_BOUNCER = """\
[databases]
{name} = host={host} port={server_port} user={name}
{sessions} = host={host} port={server_port} user={name} dbname={name} pool_mode=session pool_size=50
[pgbouncer]
listen_addr = {host}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 1000
logfile = {folder}/log
unix_socket_dir =
"""


@contextmanager
def started(command: Sequence[str], port: int) -> Iterator[tuple[int, int]]:
    """Run a pool until the block ends.

    Raises:
        RuntimeError: it does not listen.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT.parent, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            limit = time.monotonic() + _START_LIMIT_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > limit:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} does not listen: {said.read()[-500:]}")
                time.sleep(0.02)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def pgbouncer(server_port: int) -> Iterator[tuple[int, int]]:
    """Run PgBouncer: with a server connection for each client where they prepare statements, which 1.18 wants."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-pgbouncer-") as folder:
        os.chmod(folder, 0o777)
        file = Path(folder) / "pgbouncer.ini"
        values = {"host": HOST, "server_port": server_port, "name": NAME, "sessions": SESSIONS, "port": port}
        file.write_text(_BOUNCER.format(**values, size=POOL_SIZE, folder=folder))
        account = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with started([program, "-q", *account, str(file)], port) as running:
            yield running


class _Bed:
    """The pool of one process of the bench; started for its first job."""

    def __init__(self, serve: Serve, prepared_in: str) -> None:
        self._serve = serve
        self._prepared_in = prepared_in
        self._running: AbstractContextManager[tuple[int, int | None]] | None = None
        self._port = 0
        self._pid: int | None = None

    def ready(self, server_port: int) -> None:
        """Start it; idempotent."""
        if self._running is None:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
            self._running = self._serve(server_port)
            self._port, self._pid = self._running.__enter__()

    def close(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.__exit__(None, None, None)

    def run(self, job: Job) -> Reading:
        """Run pgbench for a moment to warm up, and once more."""
        self.ready(job.port)
        words, clients = _words(job.verb)
        words.append(self._prepared_in if "prepared" in words else NAME)
        _pgbench(self._port, "-t", str(max(job.count // clients // 10, 1)), *words)
        each = max(job.count // clients, 1)
        before = _cpu_s(self._pid)
        said = _pgbench(self._port, "-t", str(each), *words)
        spent = _cpu_s(self._pid) - before
        found = re.search(r"tps = ([\d.]+)", said)
        if found is None:
            raise RuntimeError(f"pgbench did not say how fast it was: {said[-500:]}")
        reading = {"rate": float(found[1])}
        if self._pid is not None:
            reading["cpu_us"] = spent / (each * clients) * 1e6
        return reading


def _words(verb: str) -> tuple[list[str], int]:
    """Return arguments of pgbench; and how many clients that is."""
    if verb == "connect":
        return ["-C", "-c", str(_CONNECTING_CLIENTS), "-j", "2"], _CONNECTING_CLIENTS
    mode, clients = verb.split("_")
    return ["-M", mode, "-c", clients, "-j", str(min(int(clients), 2))], int(clients)


def _pgbench(port: int, *words: str) -> str:
    *options, database = words
    command = ["pgbench", "-S", "-n", "-h", HOST, "-p", str(port), "-U", NAME, *options, database]
    plain = {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
    done = subprocess.run(command, env={**os.environ, **plain}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench: {done.stderr[-500:]}")
    return done.stdout


def _cpu_s(pid: int | None) -> float:
    """Return how much processor time a process has had, its own and the kernel's for it."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks


def contender(serve: Serve, prepared_in: str = NAME) -> Contender:
    """Return a contender that puts pgbench in front of a pool.

    Args:
        serve: runs it.
        prepared_in: the name of the database for those who prepare statements.
    """
    bed = _Bed(serve, prepared_in)
    verbs = [*(f"{mode}_{clients}" for mode in MODES for clients in CLIENTS), "connect"]
    return Contender(run_blocking, dict.fromkeys(verbs, bed.run), bed.close)


def longshore_command(server_port: int, port: int) -> list[str]:
    """Return how a user starts ours."""
    url = f"postgres://{NAME}@{HOST}:{server_port}/{NAME}?sslmode=disable"
    listen = f"{HOST}:{port}"
    return [sys.executable, "-m", "longshore", "pool", url, "--listen", listen, "--size", str(POOL_SIZE)]
