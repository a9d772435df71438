"""The first process of a jail: it keeps the worker company, and is the kernel's handle to the whole jail (Linux).

It has no capability and cannot be traced. It reaps the orphans, passes signals on, makes sockets for the egress
process, and ends when the worker ends; with it, as pid 1 of its namespace, ends everything that is left inside.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
from typing import TYPE_CHECKING, NoReturn

from longshore.sandbox.inside_sockets import serve_one
from longshore.sandbox.kernel import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["be_init", "close_all_but", "exit_code_of", "worker_code"]

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_SIGNALLED = 128
_LAST_DESCRIPTOR = 0xFFFF_FFFF


def be_init(worker_pid: int, inside: socket.socket | None, private: str | None) -> NoReturn:
    """Serve until the worker ends, and end with its exit code, or 128 and the number of the signal that ended it.

    Args:
        worker_pid: a child of the caller.
        inside: where the egress process asks for sockets; None: it does not.
        private: a folder to remove at the end.
    """
    wake_read, wake_write = socket.socketpair()
    for sock in (wake_read, wake_write):
        sock.setblocking(False)
    for number in _PASSED_ON:
        signal.signal(number, lambda number, _: _pass_on(worker_pid, number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    close_all_but([2, wake_read.fileno(), wake_write.fileno(), *([] if inside is None else [inside.fileno()])])
    poll = select.poll()
    poll.register(wake_read, select.POLLIN)
    if inside is not None:
        poll.register(inside, select.POLLIN)
    while True:
        # At once, too: the worker may have ended before the handler was there.
        code = _reap(worker_pid)
        if code is not None:
            if private is not None:
                shutil.rmtree(private, ignore_errors=True)
            os._exit(code)
        for fd, _ in poll.poll():
            if fd == wake_read.fileno():
                _drain(wake_read)
            elif inside is not None and not serve_one(inside):
                poll.unregister(fd)


def exit_code_of(status: int) -> int:
    """Return what a shell would say of a status of ``os.waitpid()``."""
    code = os.waitstatus_to_exitcode(status)
    return _SIGNALLED - code if code < 0 else code


def worker_code(code: int) -> int:
    """Return what the end of a jail's first process says of its worker: negative for the signal that ended it.

    A worker that itself ends with 128 and the number of a signal cannot be told from one that the signal ended.

    Args:
        code: of the first process, negative when a signal ended that itself.
    """
    return _SIGNALLED - code if _SIGNALLED < code < _SIGNALLED + signal.NSIG else code


def close_all_but(fds: Iterable[int]) -> None:
    """Close every descriptor of the process but these."""
    start = 0
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = fd + 1
    try:
        syscall("close_range", start, _LAST_DESCRIPTOR)
    except OSError:  # before Linux 5.9
        os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _reap(worker_pid: int) -> int | None:
    """Reap everybody who has ended; return the worker's exit code when it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == worker_pid:
            return exit_code_of(status)
        if pid == 0:
            return None


def _pass_on(worker_pid: int, number: int) -> None:
    try:
        os.kill(worker_pid, number)
    except OSError:
        pass


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        pass
