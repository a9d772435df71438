"""A worker that asks a PostgreSQL: through its binding, and so the pool, or through PgBouncer, as any client.

Database and wrk run on the client's core, the host, its pool and PgBouncer on the server's. PgBouncer asks for no
password, which is the quickest it can do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders.http_load import ROOT, free_port, run_load, server_core
from bench.contenders.job import HOST, Contender
from bench.contenders.runners import run_blocking
from bench.machine import pinned
from longshore.embedded.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contenders.job import Job, Reading
    from longshore.embedded.postgres import PostgresServer

__all__ = ["POOL", "BOUNCER"]

_POOL_SIZE = 20
_CONFIG = """\
name = "bench"
main = "entry.py"

[vars]
URL = "{url}"
QUERIES = {queries}
IS_KEPT = {is_kept}

[network]
allow = ["local"]

[serve]
host = "{host}"
port = {port}
log_requests = false
{binding}
"""
_BINDING = """
[[hyperdrive]]
binding = "DB"
connection_string = "{url}"
origin_connection_limit = {size}
caching = {{ disabled = true }}
"""
_BOUNCER = """\
[databases]
* = host={host} port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
unix_socket_dir =
"""


@contextmanager
def _bouncer(server: PostgresServer) -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-pgbouncer-") as folder:
        os.chmod(folder, 0o777)  # it runs as somebody else, for it refuses to be root
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            _BOUNCER.format(
                host=HOST,
                server_port=server.port,
                user=server.user,
                password=server.password,
                port=port,
                size=_POOL_SIZE,
                folder=folder,
            )
        )
        account = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with pinned(server_core()):
            process = subprocess.Popen([program, "-q", *account, str(file)])
        try:
            yield f"postgresql://{server.user}@{HOST}:{port}/{server.database}?sslmode=disable"
        finally:
            process.terminate()
            process.wait()


def _load(job: Job, *, url: str, binding: str) -> Reading:
    queries, kept = job.verb.removeprefix("queries_").split("_")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-longshore-") as folder:
        directory = Path(folder)
        (directory / "entry.py").write_bytes((ROOT / "workers" / "database" / "entry.py").read_bytes())
        file = directory / "longshore.toml"
        is_kept = "true" if kept == "kept" else "false"
        text = _CONFIG.format(url=url, queries=queries, is_kept=is_kept, host=HOST, port=port, binding=binding)
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "longshore", "serve", "--config", str(file)]
        return run_load(command, port, job.count)


_stack = ExitStack()


@cache
def _server() -> PostgresServer:
    """Return the database, which all jobs of this process share."""
    return _stack.enter_context(running_postgres())


def _through_pool(job: Job) -> Reading:
    return _load(job, url="", binding=_BINDING.format(url=_server().url, size=_POOL_SIZE))


def _through_bouncer(job: Job) -> Reading:
    with _bouncer(_server()) as url:
        return _load(job, url=url, binding="")


_VERBS = ("queries_1_new", "queries_10_new", "queries_1_kept", "queries_10_kept")
POOL = Contender(run_blocking, dict.fromkeys(_VERBS, _through_pool), _stack.close)
BOUNCER = Contender(run_blocking, dict.fromkeys(_VERBS, _through_bouncer), _stack.close)
