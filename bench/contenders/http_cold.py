"""From the start of a server to the first byte of its first answer, for the contenders of ``cold``.

The listening socket is there before the server is, as a host or a service manager would have it: the request waits in
its queue, so that nobody has to find out by trying when the server is ready.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from bench.contenders.http_load import ROOT, server_core
from bench.contenders.job import HOST
from bench.machine import pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.contenders.job import Reading

__all__ = ["first_byte_s", "listening", "reading", "spawned_first_byte_s"]

_LIMIT_S = 30.0


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Open a listening socket for the block."""
    with socket.create_server((HOST, 0), backlog=16) as listener:
        yield listener


def first_byte_s(listener: socket.socket, start: Callable[[], None]) -> float:
    """Start a server on the socket and return how long its first byte took.

    Raises:
        TimeoutError: there is none.
    """
    with socket.create_connection(listener.getsockname(), timeout=_LIMIT_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
        begun = time.perf_counter()
        start()
        answer = client.recv(4096)
        seconds = time.perf_counter() - begun
    if b" 200 " not in answer:
        raise RuntimeError(f"not an answer: {answer[:80]!r}")
    return seconds


def spawned_first_byte_s(command_on: Callable[[int], Sequence[str]]) -> float:
    """Do it with a program that is given the descriptor of the socket."""
    servers: list[subprocess.Popen[bytes]] = []
    with listening() as listener:
        fd = listener.fileno()

        def start() -> None:
            with pinned(server_core()):
                servers.append(
                    subprocess.Popen(
                        command_on(fd),
                        cwd=ROOT.parent,
                        env=os.environ,
                        pass_fds=(fd,),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )

        try:
            return first_byte_s(listener, start)
        finally:
            for server in servers:
                server.kill()
                server.wait()


def reading(times_s: Sequence[float]) -> Reading:
    """Return the median of the starts of one round, and the slowest of them."""
    return {"median_ms": median(times_s) * 1e3, "worst_ms": max(times_s) * 1e3}
