"""What a worker does to use everything up, and to keep the host busy; called like the functions of ``attempts``."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

from tests.egress.behaviours import HOST, name_of
from tests.egress.escapes import attempt
from tests.escape.attempts import MARK


def fork_bomb(most: int) -> dict[str, object]:
    """Fork until it is refused; the children do the same. Then end them."""
    count, refusal = 0, ""
    reading, writing = os.pipe()
    children = []
    while count < most:
        try:
            pid = os.fork()
        except OSError as exc:
            refusal = name_of(exc.errno or 0)
            break
        if pid == 0:
            os.close(writing)
            with contextlib.suppress(OSError):
                os.fork()
            os.read(reading, 1)  # until the parent closes the pipe, or ends
            os._exit(0)
        children.append(pid)
        count += 1
    os.close(writing)
    os.close(reading)
    for pid in children:
        os.waitpid(pid, 0)
    return {"count": count, "refusal": refusal}


def memory_bomb(most: int) -> str:
    """Allocate in this process and in children of it."""
    hoard: list[bytes] = []
    try:
        while len(hoard) < most:
            hoard.append(bytes(16 << 20))
    except MemoryError:
        return "MemoryError"
    return f"{len(hoard)} pieces"


def descriptor_bomb(most: int) -> dict[str, object]:
    """Open files, and hide more of them on their way through Unix sockets, until both are refused."""
    held: list[int] = []
    pairs: list[socket.socket] = []
    refusal, in_flight = "", 0
    try:
        while len(held) < most:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as exc:
        refusal = name_of(exc.errno or 0)
    count = len(held)
    while held[64:]:
        os.close(held.pop())
    hidden = ""
    try:
        while in_flight < most:
            left, right = socket.socketpair()
            pairs += [left, right]
            left.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while in_flight < most:
                    socket.send_fds(left, [b"x"], held[:64])
                    in_flight += 64
    except OSError as exc:
        hidden = name_of(exc.errno or 0)
    for sock in pairs:
        sock.close()
    for fd in held:
        os.close(fd)
    return {"count": count, "refusal": refusal, "in flight": in_flight, "hidden": hidden}


waiters: list[threading.Thread] = []


def wait_in_vain(port: int, times: int) -> tuple[str, int]:
    """Have so many threads wait in connect(2) for a server that does not answer.

    Returns:
        Which process this is, and how many wait in it.
    """
    threading.stack_size(64 * 1024)
    ready = threading.Semaphore(0)

    def wait() -> None:
        with socket.socket() as sock:
            ready.release()
            attempt(sock.connect, (HOST, port))

    for _ in range(times):
        waiters.append(threading.Thread(target=wait, daemon=True))
        waiters[-1].start()
    for _ in range(times):
        ready.acquire()
    return still_waiting()


def still_waiting() -> tuple[str, int]:
    return MARK, sum(each.is_alive() for each in waiters)


def quick_ones(port: int, times: int) -> dict[str, Any]:
    """Connect so many times to a server that answers; return how long each took in ms."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        with socket.create_connection((HOST, port)) as sock:
            taken.append((time.perf_counter() - begun) * 1000)
            assert sock.recv(1)
    taken.sort()
    return {"median": taken[times // 2], "most": taken[-1]}


def connection_bomb(port: int, most: int) -> dict[str, object]:
    """Open connections until it is refused."""
    held: list[socket.socket] = []
    refusal = ""
    try:
        while len(held) < most:
            held.append(socket.create_connection((HOST, port), timeout=20))
    except OSError as exc:
        refusal = name_of(exc.errno or 0)
    count = len(held)
    for sock in held:
        sock.close()
    return {"count": count, "refusal": refusal}
