"""A blocking ``ssl.SSLSocket``: what TLS costs Python with no event loop around it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.contenders.clock import Clock
from bench.contenders.job import CHUNK_BYTES, HOST, Contender, Job, Reading
from bench.contenders.runners import run_blocking

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


@contextmanager
def _open(job: Job) -> Iterator[ssl.SSLSocket]:
    # The one place that may: a contender, not the library; a blocking socket is what is measured.
    with socket.socket() as plain:
        plain.connect((HOST, job.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with job.context().wrap_socket(plain, server_hostname=HOST) as connection:
            yield connection


def bulk_in(job: Job) -> Reading:
    """Time receiving ``count`` bytes up to the end of the stream."""
    buffer = bytearray(CHUNK_BYTES)
    total = 0
    with _open(job) as connection:
        clock = Clock()
        connection.sendall(b"g")
        while got := connection.recv_into(buffer):
            total += got
        reading = clock.reading()
    assert total == job.count
    return reading


def bulk_out(job: Job) -> Reading:
    """Time sending ``count`` bytes until the server has acknowledged the last."""
    chunk = job.chunk()
    with _open(job) as connection:
        clock = Clock()
        for _ in range(job.count // CHUNK_BYTES):
            connection.sendall(chunk)
        connection.recv(1)
        return clock.reading()


CONTENDER = Contender(run_blocking, {"bulk_in": bulk_in, "bulk_out": bulk_out})
