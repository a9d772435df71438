"""A PostgreSQL server of one's own: a temporary folder, a free port of the loopback, a random password.

Nothing of it stays: the server is ended and the folder removed when the block is left, on every path. It is set up
for speed and not for safety: its data does not survive a crash, and need not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from longshore.embedded._account import identity, private_directory, unprivileged_account
from longshore.embedded._programs import PostgresUnavailable, find_programs, reachable_programs

if TYPE_CHECKING:
    import pwd
    from collections.abc import Callable, Iterator, Sequence

    from longshore.embedded._programs import PostgresPrograms

__all__ = ["PostgresServer", "PostgresUnavailable", "running_postgres"]

HOST: Final = "127.0.0.1"
START_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 10.0
POLL_S: Final = 0.01
ATTEMPTS: Final = 3
"""Another program may take the free port before the server does; it is then started on another one."""
SHOWN_LOG_CHARS: Final = 2000

SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "50",
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that accepts connections."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    version: str
    """``18.1`` or the like."""
    pid: int
    psql: Path
    """The program ``psql`` that came with it."""

    @property
    def url(self) -> str:
        """The connection string."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A data folder, and who may run what on it."""

    programs: PostgresPrograms
    account: pwd.struct_passwd | None
    directory: Path
    user: str
    password: str
    database: str

    def run(self, name: str, words: Sequence[str], *, text: str = "", environment: dict[str, str] | None = None) -> str:
        """Run a program to its end; return what it printed."""
        process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - programs of the wheel
            [str(self.programs.path(name)), *words],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=environment or _environment(),
            start_new_session=True,
            **identity(self.account),
        )
        try:
            output, _ = process.communicate(text)
        finally:
            _end_session(process)
        if process.returncode != 0:
            raise PostgresUnavailable(f"{name} ended with {process.returncode}: {output.strip()[-SHOWN_LOG_CHARS:]}")
        return output


def _end_session(process: subprocess.Popen[Any]) -> None:
    """End a program and all that it started: initdb is several processes, and all of them write into the folder."""
    end = time.monotonic() + STOP_LIMIT_S
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            if not _has_living(process.pid):
                break
            time.sleep(POLL_S)
    process.wait()


def _has_living(group: int) -> bool:
    """Return whether a process group has members that still do something; where that cannot be told, it has.

    Those that have ended and that nobody has reaped yet can be killed again and again; in a container without an init
    process they are there for good.
    """
    if not Path("/proc/self/stat").exists():
        return True
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Behind the name in parentheses, which may hold anything: state, parent, group.
            state, _, members_group, *_ = file.read_bytes().rpartition(b") ")[2].split()
            if int(members_group) == group and state not in {b"Z", b"X"}:
                return True
    return False


@contextlib.contextmanager
def running_postgres(
    *,
    sql: str = "",
    user: str = "longshore",
    database: str = "longshore",
    say: Callable[[str], None] | None = None,
) -> Iterator[PostgresServer]:
    """Run a new PostgreSQL server for as long as the block lasts.

    Args:
        sql: what to run in the database at first: tables and rows.
        user: the superuser's name.
        database: the name of the database that is made.
        say: is told the name of each step before it is done, to show progress.

    Raises:
        PermissionError: this is root, without the right to change to another account.
        PostgresUnavailable: the wheel is missing (``pip install "longshore[demo]"``), or the server does not start, or
            the statements fail.
    """
    tell = say or _say_nothing
    programs = find_programs()
    account = unprivileged_account()
    with private_directory("longshore-pg-", account) as directory:
        programs = reachable_programs(programs, account, directory)
        cluster = _Cluster(programs, account, directory, user, secrets.token_hex(12), database)
        tell("database cluster")
        _make(cluster)
        tell("PostgreSQL server")
        with _started(cluster) as (process, port):
            tell("tables and rows")
            _fill(cluster, port, sql)
            version = cluster.run("postgres", ["--version"]).split()[2]
            where = (HOST, port, user, cluster.password, database)
            yield PostgresServer(*where, version=version, pid=process.pid, psql=programs.path("psql"))


def _say_nothing(step: str) -> None:
    """Show no progress."""


def _environment() -> dict[str, str]:
    """Return the variables for PostgreSQL's programs: none of ``PGHOST`` and its like, which would lead elsewhere."""
    return {**{key: value for key, value in os.environ.items() if not key.startswith("PG")}, "LC_ALL": "C"}


def _make(cluster: _Cluster) -> None:
    secret = cluster.directory / "password"
    secret.touch(mode=0o600)
    secret.write_text(f"{cluster.password}\n", encoding="ascii")
    if cluster.account is not None:
        os.chown(secret, cluster.account.pw_uid, cluster.account.pw_gid)
    words = ["-D", "data", "-U", cluster.user, "--pwfile", secret.name, "-A", "scram-sha-256"]
    cluster.run("initdb", [*words, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"])
    secret.unlink()


@contextlib.contextmanager
def _started(cluster: _Cluster) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    for attempt in range(1, ATTEMPTS + 1):
        port = _free_port()
        with _process(cluster, port) as process:
            try:
                _wait_until_ready(process, port)
            except PostgresUnavailable as exc:
                log = _log(cluster).read_text(encoding="utf-8", errors="replace")
                if attempt == ATTEMPTS or "Address already in use" not in log:
                    raise PostgresUnavailable(f"{exc}: {log.strip()[-SHOWN_LOG_CHARS:]}") from None
                continue
            yield process, port
            return


def _log(cluster: _Cluster) -> Path:
    return cluster.directory / "log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(cluster: _Cluster, port: int) -> Iterator[subprocess.Popen[bytes]]:
    settings = {**SETTINGS, "port": str(port)}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    command = [*_tied_to_us(), str(cluster.programs.path("postgres")), "-D", "data", *options]
    with _log(cluster).open("wb") as output:
        arguments: dict[str, Any] = {"cwd": cluster.directory, "env": _environment(), **identity(cluster.account)}
        # A session of its own: Ctrl-C in the terminal is for us, and the database goes last.
        process = subprocess.Popen(  # noqa: S603 - a program of the wheel
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **arguments
        )
    try:
        yield process
    finally:
        _stop(process)


def _tied_to_us() -> list[str]:
    """Return what to put before a command so that the kernel ends it should this process be killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=INT", "--"] if setpriv else []


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server at once and reap it; SIGINT is its fast shutdown, SIGTERM would wait for every client."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_LIMIT_S)
    except BaseException as exc:
        # Out of patience, or the person is: a second Ctrl-C must not leave a server behind.
        process.kill()
        process.wait()
        if not isinstance(exc, subprocess.TimeoutExpired):
            raise


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Speak the protocol until the server asks for the password; it accepts connections long before."""
    end = time.monotonic() + START_LIMIT_S
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if _asks_for_password(port):
                return
        if time.monotonic() > end:
            raise PostgresUnavailable(f"PostgreSQL was not ready after {START_LIMIT_S:.0f} s")
        time.sleep(POLL_S)
    raise PostgresUnavailable(f"PostgreSQL ended with {process.returncode}")


def _asks_for_password(port: int) -> bool:
    parameters = b"user\0longshore\0\0"
    startup = struct.pack("!ii", 8 + len(parameters), 196608) + parameters  # protocol 3.0
    with socket.socket() as client:
        client.settimeout(2.0)
        client.connect((HOST, port))
        client.sendall(startup)
        return client.recv(1) == b"R"


def _fill(cluster: _Cluster, port: int, sql: str) -> None:
    script = f'CREATE DATABASE "{cluster.database}";\n\\connect "{cluster.database}"\n{sql}\n'
    words = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(port), "-U", cluster.user, "-d", "postgres"]
    environment = {**_environment(), "PGPASSWORD": cluster.password, "PGCLIENTENCODING": "UTF8"}
    cluster.run("psql", [*words, "-f", "-"], text=script, environment=environment)
