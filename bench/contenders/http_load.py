"""What the HTTP contenders share: start a server on the server's core, load it with wrk, read what wrk says.

A contender of ``http`` and ``http-socket`` is a server; wrk, on the client's core, is the same for all. ``count``
of the job is how many seconds the load lasts; its port is the echo server's.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.contenders.job import HOST
from bench.machine import pinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.contenders.job import Reading

__all__ = ["ROOT", "free_port", "load", "run_load", "server_core", "serving"]

ROOT = Path(__file__).parent.parent
CONNECTIONS = 50
WARM_UP_S = 1
_START_LIMIT_S = 20.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def server_core() -> int | None:
    """Return the core this process is not pinned to, None where nothing is pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    mine = os.sched_getaffinity(0)
    others = sorted(set(range(os.cpu_count() or 1)) - mine)
    return others[-1] if len(mine) == 1 and others else None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
            return b" 200 " in client.recv(4096)
    except OSError:
        return False


@contextmanager
def serving(
    command: Sequence[str], port: int, variables: Mapping[str, str] | None = None, *, is_client: bool = False
) -> Iterator[int]:
    """Run a server until the block ends; it answers when the block begins.

    Args:
        command: what to run.
        port: where it answers.
        variables: more of its environment.
        is_client: it is what is measured, on this process's core; False: it runs on the server's.

    Raises:
        RuntimeError: it does not answer, with the last thing it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        with nullcontext() if is_client else pinned(server_core()):
            server = subprocess.Popen(
                command,
                cwd=ROOT.parent,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            _wait_for(server, port, said)
            yield server.pid
        finally:
            _end(server)


def _wait_for(server: subprocess.Popen[bytes], port: int, said: IO[str]) -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while server.poll() is None and time.monotonic() < limit:
        if _answers(port):
            return
        time.sleep(0.02)
    said.seek(0)
    lines = said.read().strip().splitlines()
    raise RuntimeError(f"{Path(server.args[0]).name} does not answer: {lines[-1] if lines else 'it said nothing'}")  # type: ignore[index, arg-type]


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def load(port: int, seconds: int) -> Reading:
    """Warm up, then load for so many seconds.

    Raises:
        RuntimeError: a request failed.
    """
    _wrk(port, WARM_UP_S)
    return _wrk(port, seconds)


def _wrk(port: int, seconds: int) -> Reading:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"http://{HOST}:{port}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if trouble := re.search(r"(Socket errors:.*|Non-2xx.*)", said):
        raise RuntimeError(f"requests failed: {trouble[1]}")
    return {
        "rate": _number(r"Requests/sec:\s+([\d.]+)", said),
        "p50_ms": _latency_ms("50%", said),
        "p99_ms": _latency_ms("99%", said),
    }


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"wrk did not say {pattern!r}")
    return float(found[1])


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def _latency_ms(percentile: str, said: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", said)
    if found is None:
        raise RuntimeError(f"wrk did not say the latency at {percentile}")
    return float(found[1]) * _UNITS[found[2]]


def run_load(command: Sequence[str], port: int, seconds: int, variables: Mapping[str, str] | None = None) -> Reading:
    """Start a server, load it, end it."""
    with serving(command, port, variables):
        return load(port, seconds)
