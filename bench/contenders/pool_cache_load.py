"""One client that reads the same row again and again through ``longshore pool``, with and without its cache.

The database is as far away as the verb says: ``read_20`` puts a relay in a process of its own between pool and
database that holds every answer back for 20 ms. Nothing is pinned, as in ``pool``.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.contenders.http_load import free_port
from bench.contenders.job import HOST, Contender
from bench.contenders.pool_load import POOL_SIZE, started
from bench.contenders.runners import run_blocking
from longshore.embedded.postgres import running_postgres

if TYPE_CHECKING:
    from bench.contenders.job import Job, Reading
    from longshore.embedded.postgres import PostgresServer

__all__ = ["DELAYS_MS", "FORMS", "contender"]

DELAYS_MS = (0, 20)
FORMS = ("simple", "extended")
_SQL = (
    "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item SELECT g, 'x' FROM generate_series(1, 1000) g"
)
_TEXT = b"SELECT id, name FROM item WHERE id = 7"
_READY = b"Z\0\0\0\x05I"
_WARM_UP = 10
_LOCAL_S = 0.001
"""A read that takes less is repeated a hundred times as often: or its clock would measure noise."""


class _Bed:
    """Database, relays and pools of one process of the bench; made for its first job."""

    def __init__(self, *, is_cached: bool) -> None:
        self._is_cached = is_cached
        self._stack = ExitStack()
        self._server: PostgresServer | None = None
        self._ports: dict[int, int] = {}

    def close(self) -> None:
        """End it."""
        self._stack.close()

    def run(self, job: Job) -> Reading:
        """Read."""
        form, delay_ms = job.verb.split("_")
        with socket.create_connection((HOST, self._port(int(delay_ms)))) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert self._server is not None
            _log_in(client, self._server)
            message = _simple() if form == "simple" else _extended()
            # The catalogue is read behind the first question; what comes before that is not kept.
            first_s = _reads(client, message, _WARM_UP)
            time.sleep(0.5)
            first_s = _reads(client, message, _WARM_UP)
            count = job.count * 100 if first_s < _LOCAL_S else job.count
            return {"seconds_per_read": _reads(client, message, count)}

    def _port(self, delay_ms: int) -> int:
        if self._server is None:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
            self._server = self._stack.enter_context(running_postgres(sql=_SQL, database="bench"))
        if delay_ms not in self._ports:
            upstream = self._server.port
            if delay_ms:
                upstream = free_port()
                words = (str(upstream), str(self._server.port), str(delay_ms))
                self._stack.enter_context(started([sys.executable, "-m", "bench.servers.delay", *words], upstream))
            port = free_port()
            command = _command(self._server, port, upstream)
            self._stack.enter_context(started([*command, "--cache"] if self._is_cached else command, port))
            self._ports[delay_ms] = port
        return self._ports[delay_ms]


def _command(server: PostgresServer, port: int, upstream: int) -> list[str]:
    url = f"postgres://{server.user}:{server.password}@{HOST}:{upstream}/{server.database}?sslmode=disable"
    words = ["pool", url, "--listen", f"{HOST}:{port}", "--size", str(POOL_SIZE)]
    return [sys.executable, "-m", "longshore", *words]


def _message(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


def _simple() -> bytes:
    return _message(b"Q", _TEXT + b"\0")


def _extended() -> bytes:
    parse = _message(b"P", b"\0" + _TEXT + b"\0\0\0")
    return parse + _message(b"B", bytes(8)) + _message(b"D", b"P\0") + _message(b"E", bytes(5)) + _message(b"S", b"")


def _log_in(client: socket.socket, server: PostgresServer) -> None:
    words = b"user\0" + server.user.encode() + b"\0database\0" + server.database.encode() + b"\0\0"
    client.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
    _hear(client)


def _hear(client: socket.socket) -> bytes:
    said = b""
    while not said.endswith(_READY):
        data = client.recv(65536)
        if not data or said[:1] == b"E":
            raise RuntimeError(f"the pool said {said[:200]!r}")
        said += data
    return said


def _reads(client: socket.socket, message: bytes, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        client.sendall(message)
        _hear(client)
    return (time.perf_counter() - begin) / count


def contender(*, is_cached: bool) -> Contender:
    """Return a contender that reads through a pool."""
    bed = _Bed(is_cached=is_cached)
    verbs = [f"{form}_{delay_ms}" for form in FORMS for delay_ms in DELAYS_MS]
    return Contender(run_blocking, dict.fromkeys(verbs, bed.run), bed.close)
