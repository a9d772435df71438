"""The zygote: a process that has imported everything a worker needs, and forks workers from that.

Started by the host as ``python -P -m longshore.runtime.zygote FD``, where FD is its end of an ``AF_UNIX`` socket pair.
A fork of it is a worker within milliseconds, and all workers share the memory of what was imported.

Rules that must not be broken:

1. One thread and no event loop, ever: a lock or a loop that another thread holds at the moment of ``fork`` is lost to
   the child. No code of a user runs here.
2. Workers do not outlive the host. The end of the control channel is the host's death, however it died: every worker
   is then killed and reaped. Should the zygote itself be killed, the kernel kills the workers (``PR_SET_PDEATHSIG``).
3. What a worker started does not outlive the worker: each leads a process group of its own, which is killed when its
   leader ended and before it is reaped. Until then the kernel keeps the number, so a signal cannot reach a stranger.
   A worker in a jail (``Fork.jail``) is a child of the jail's first process, and this is our child; its end is the end
   of everything inside.
4. Signals of a terminal or a service manager are the host's business. The zygote has a session of its own, and it and
   its workers let SIGTERM, SIGINT and SIGHUP pass: systemd sends SIGTERM to every process of a service, and a worker
   that obeyed would drop what it is answering.

The working directory of a worker is the host's, if it is to be seen from its jail. Its environment is the zygote's, of
which the host has taken what is none of a worker's business, or the plan's of its jail.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from longshore.net.channel import SyncChannel
from longshore.proto.ipc.messages import Exited, Fork, Forked, ForkFailed, Kill, ZygoteReady
from longshore.sandbox.cgroup import ControlGroups
from longshore.sandbox.fork import fork_jailed
from longshore.sandbox.init import worker_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.proto.ipc.jail import JailPlan
    from longshore.proto.ipc.messages import Message

__all__ = ["Zygote", "main", "run_zygote"]

EXIT_INTERNAL = 70

_LET_PASS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


WorkerSockets: TypeAlias = tuple[socket.socket, socket.socket | None]
"""A worker's ends of its channels to the host and to the egress process."""
RunWorker: TypeAlias = "Callable[[socket.socket, socket.socket | None], int]"


class Zygote:
    """Forks, signals and reaps workers as the host says.

    Args:
        channel: to the host.
    """

    def __init__(self, channel: SyncChannel) -> None:
        self._channel = channel
        self._pids: dict[int, int] = {}  # worker_id -> pid; of a jail, that of its first process
        self._jailed: set[int] = set()
        self._groups = ControlGroups(os.getpid())
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        # A handler of Python's own must exist for the descriptor to be written to.
        signal.signal(signal.SIGCHLD, _pass)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def serve(self) -> WorkerSockets | None:
        """Work until the host ends: then return None. In a forked worker: return its sockets."""
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._wake_read.fileno(), select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake_read.fileno() in ready:
                self._reap()
            if self._channel.fileno() in ready:
                received = self._channel.receive()
                while received is not None:
                    sockets = self._obey(*received)
                    if sockets is not None:
                        return sockets
                    if not self._channel.has_message:
                        break
                    received = self._channel.receive()
                else:
                    return None

    def end(self) -> None:
        """Kill and reap every worker that is left."""
        for pid in self._pids.values():
            _kill_group(pid)
        for pid in self._pids.values():
            os.waitpid(pid, 0)
        self._pids.clear()
        self._groups.close()

    def _obey(self, message: Message, fds: list[int]) -> WorkerSockets | None:
        match message:
            case Fork(worker_id=worker_id, jail=jail):
                control, *rest = (socket.socket(fileno=fd) for fd in fds)
                return self._fork(worker_id, (control, rest[0] if rest else None), jail)
            case Kill(worker_id=worker_id, signal=number):
                self._kill(worker_id, number)
            case _:
                raise AssertionError(f"not for a zygote: {type(message).__name__}")
        return None

    def _fork(self, worker_id: int, sockets: WorkerSockets, jail: JailPlan | None) -> WorkerSockets | None:
        own_pid = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork() if jail is None else self._fork_jailed(worker_id, sockets, jail)
        except OSError as exc:
            _close(sockets)
            self._groups.remove(worker_id)
            self._channel.send(ForkFailed(worker_id=worker_id, error=str(exc)))
            return None
        if pid == 0:
            if jail is None:
                _bind_to_parent(self._libc, own_pid)
            self._become_worker()
            return sockets
        _close(sockets)
        try:
            os.setpgid(pid, pid)  # the child does the same: whoever comes first, a kill finds the group
        except OSError:
            pass
        self._pids[worker_id] = pid
        self._channel.send(Forked(worker_id=worker_id, pid=pid))
        if jail is not None:
            self._groups.leave()  # may take a while, so the host is told first
        return None

    def _fork_jailed(self, worker_id: int, sockets: WorkerSockets, jail: JailPlan) -> int:
        control, egress = sockets
        self._groups.enter(worker_id, jail)
        pid = fork_jailed(jail, egress, control)
        if pid:
            self._jailed.add(worker_id)
        return pid

    def _become_worker(self) -> None:
        """Leave everything behind that is the zygote's."""
        self._pids = {}  # first of all: they are not ours to kill
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._wake_read.close()
        self._wake_write.close()
        self._channel.close()
        gc.enable()

    def _kill(self, worker_id: int, number: int) -> None:
        pid = self._pids.get(worker_id)
        if pid is None:
            return  # it ended before the host heard of it
        if number == signal.SIGKILL:
            _kill_group(pid)
        else:
            os.kill(pid, number)

    def _reap(self) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except BlockingIOError:
            pass
        for worker_id, pid in list(self._pids.items()):
            # First look and do not reap: the number is the worker's until then.
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                continue
            _kill_group(pid)
            os.waitpid(pid, 0)
            del self._pids[worker_id]
            code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
            if worker_id in self._jailed:
                self._jailed.discard(worker_id)
                self._groups.remove(worker_id)
                code = worker_code(code)
            self._channel.send(Exited(worker_id=worker_id, pid=pid, code=code))


def run_zygote(channel: SyncChannel, preload: Callable[[], None], run_worker: RunWorker) -> int:
    """Import, serve, end; return the zygote's exit code. A worker ends in here.

    Args:
        channel: to the host.
        preload: imports what workers need.
        run_worker: called in each fork with the worker's control socket, and its socket to the egress process if there
            is one; returns its exit code, and leaves nothing to be done at the end of the interpreter.
    """
    for number in _LET_PASS:
        # A function and not SIG_IGN, which the programs that a worker starts would inherit.
        signal.signal(number, _pass)
    zygote = Zygote(channel)
    gc.disable()  # no collection while importing, and none that touches the memory shared with the workers
    preload()
    gc.collect()
    gc.freeze()
    try:
        channel.send(ZygoteReady(pid=os.getpid()))
        sockets = zygote.serve()
    except BrokenPipeError:
        sockets = None  # the host is gone, like an end-of-file
    except BaseException:
        zygote.end()
        raise
    if sockets is not None:
        _end_process(run_worker, sockets)
    zygote.end()
    return 0


def main(arguments: list[str]) -> int:
    """Be the zygote of the host at the other end of descriptor ``arguments[0]``; return the exit code."""
    # Not at the top: tests run `run_zygote` with workers of their own.
    from longshore.runtime.worker.preload import preload  # noqa: PLC0415 - see above
    from longshore.runtime.worker.process import run_worker  # noqa: PLC0415 - see above

    (fd,) = arguments
    return run_zygote(SyncChannel(socket.socket(fileno=int(fd))), preload, run_worker)


def _end_process(run_worker: RunWorker, sockets: WorkerSockets) -> NoReturn:
    """Be a worker, and end without the interpreter's own end, which would wait for threads and free all memory."""
    code = EXIT_INTERNAL
    try:
        code = run_worker(*sockets)
    except BaseException:  # noqa: BLE001 - nothing of the zygote's stack may run in a worker
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code)


def _bind_to_parent(libc: ctypes.CDLL | None, parent_pid: int) -> None:
    """Lead a process group, and die with the zygote; in a jail that is the affair of its first process."""
    os.setpgid(0, 0)
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before that call
            os._exit(0)


def _close(sockets: WorkerSockets) -> None:
    for sock in sockets:
        if sock is not None:
            sock.close()


def _pass(_number: int, _frame: object) -> None:
    """Let a signal pass."""


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Permission: macOS says so of a group in which nobody but the dead leader is left.
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
