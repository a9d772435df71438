"""Start a real server program, wait until it answers, and end it by its process id.

The ``fix_<server>.py`` files are built from these pieces. Rules of it:

1. A server has a private directory, a port of the loopback and, when the tests run as root, the account that
   its package made for it; it never sees the machine's own configuration, data or service.
2. Ready means that the protocol was spoken: a port that accepts says nothing (PostgreSQL accepts while it
   starts).
3. Every process is ended and reaped by its id, also when the start or a test fails; a server that does not
   start fails the test with what it wrote.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import pytest

from tests.system import is_ci
from tools.devkit.system import PACKAGES, find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "HOST",
    "Server",
    "free_port",
    "give_to",
    "require_program",
    "run_tool",
    "running",
    "says",
    "server_directory",
]

HOST = "127.0.0.1"

START_LIMIT_S = 40.0
"""Bound on a start: the slowest, MariaDB on a busy machine of two cores, takes three seconds."""

STOP_LIMIT_S = 10.0
"""How long a server may take to end by itself before it is killed."""

SHOWN_LOG_BYTES = 4000

# Below the ports that the kernel gives to outgoing connections and to bind(0), so that no other test gets one
# between the moment it is found free and the moment the server binds it.
PORTS = range(20000, 32000)

Command: TypeAlias = Sequence[object]
"""A program and its arguments: text, paths and numbers."""

_given_ports: set[int] = set()


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready, and what a test needs to know of it."""

    port: int
    directory: Path
    """Its private directory; ``log`` in it is what it wrote."""
    version: str = ""
    """What the program says of itself."""
    tls_port: int | None = None
    """Where it expects TLS from the first byte, if it does."""
    facts: dict[str, str] = field(default_factory=dict)
    """What is particular to the server: names, passwords, topics."""

    @property
    def address(self) -> str:
        """``host:port`` for ``connect()``."""
        return f"{HOST}:{self.port}"

    @property
    def tls_address(self) -> str:
        """``host:port`` of the port with TLS from the first byte."""
        assert self.tls_port is not None, "this server has no TLS port"
        return f"{HOST}:{self.tls_port}"


def require_program(name: str) -> str:
    """Return the path of a program; skip the test without it, naming the package, and fail it in CI."""
    if (path := find_program(name)) is not None:
        return path
    reason = f"not installed: {name} (apt-get install {PACKAGES[name].debian})"
    if is_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of the loopback that is free now and that this process has not given out before."""
    for port in random.SystemRandom().sample(PORTS, k=200):
        if port in _given_ports:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            _given_ports.add(port)
            return port
    raise RuntimeError(f"no free port in {PORTS!r}")


def account(user: str | None) -> pwd.struct_passwd | None:
    """Return the account to run under: for root the named one (or nobody), None for the present one."""
    if user is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwnam("nobody")


def give_to(user: str | None, *paths: Path) -> None:
    """Make the account the owner of the paths, when the tests run as root."""
    if (entry := account(user)) is not None:
        for path in paths:
            os.chown(path, entry.pw_uid, entry.pw_gid)


@contextlib.contextmanager
def server_directory(name: str, user: str | None) -> Iterator[Path]:
    """Yield a private directory of the account, removed in the end.

    Not pytest's ``tmp_path``: that is below a folder only its owner may enter.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"longshore-{name}-"))
    try:
        give_to(user, directory)
        yield directory
    finally:
        shutil.rmtree(directory)


def words(command: Command) -> list[str]:
    """Return the command as text."""
    return [str(word) for word in command]


class Identity(TypedDict):
    """The arguments of ``subprocess`` that choose an account; None leaves things as they are."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def identity(user: str | None) -> Identity:
    """Return the arguments for running as that account."""
    if (entry := account(user)) is None:
        return Identity(user=None, group=None, extra_groups=None)
    return Identity(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])


def run_tool(command: Command, *, user: str, directory: Path) -> str:
    """Run a program that prepares a server, as its account, and return what it wrote.

    Raises:
        pytest.fail.Exception: it did not end with 0.
    """
    done = subprocess.run(
        words(command),
        check=False,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=2 * START_LIMIT_S,
        **identity(user),
    )
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        pytest.fail(f"{command[0]} ended with {done.returncode}:\n{output[-SHOWN_LOG_BYTES:]}", pytrace=False)
    return output


def tied_to_us(command: list[str]) -> list[str]:
    """Return the command such that the kernel ends the server should this process be killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=TERM", "--", *command] if setpriv else command


@contextlib.contextmanager
def running(
    command: Command,
    is_ready: Callable[[], bool],
    *,
    user: str | None,
    directory: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground from the moment it is ready until the block is left.

    Args:
        command: a program that does not fork into the background.
        is_ready: asks the server once; False and ``OSError`` mean not yet.
        user: the account it runs under when the tests run as root; None for root itself, which a server
            needs that is written in Python and finds its packages in root's home.
        directory: its private directory, where ``log`` collects what it writes.
        stop_signal: what makes it end at once and in order.

    Raises:
        pytest.fail.Exception: it ended or was not ready in time; the end of its log is shown.
    """
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            tied_to_us(words(command)),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **identity(user),
        )
    try:
        wait_until_ready(process, is_ready, command, log)
        yield process
    finally:
        stop(process, stop_signal)


def wait_until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], command: Command, log: Path
) -> None:
    """Ask the server until it answers, it ends, or the limit runs out."""
    end = time.monotonic() + START_LIMIT_S
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if is_ready():
                return
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    state = "not ready in time" if process.returncode is None else f"ended with {process.returncode}"
    written = log.read_bytes()[-SHOWN_LOG_BYTES:].decode(errors="replace")
    pytest.fail(f"{shlex.join(words(command))}: {state}; it wrote:\n{written}", pytrace=False)


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """End the process by its id and reap it."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def says(port: int, expected: bytes, *, after: bytes = b"") -> bool:
    """Return whether the server answers with ``expected`` somewhere, after it was sent ``after``.

    Raises:
        OSError: it refused, reset or was silent.
    """
    received = b""
    with socket.create_connection((HOST, port), timeout=2.0) as client:
        client.sendall(after)
        while expected not in received and (data := client.recv(4096)):
            received += data
    return expected in received
