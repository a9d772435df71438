"""``fork_jailed``: os.fork() of the zygote, with the new process in a jail (Linux).

The zygote's child is made by clone(2) itself, since ``os.fork()`` takes no flags; what Python must do around a fork is
done by the functions it has for that. The C library does not hear of this child, and remembers a wrong thread id in
it: so that process, the jail's first (``init``), stays ours, and the worker is made by it with a plain ``os.fork()``.

Must be called by a process with one thread.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from longshore.proto.ipc.frames import make_frame
from longshore.proto.ipc.messages import BootFailed, ErrorReport
from longshore.sandbox.init import be_init
from longshore.sandbox.jail import JailError, enter_jail, set_up_jail
from longshore.sandbox.kernel import prctl, syscall
from longshore.sandbox.namespaces import clone_flags
from longshore.sandbox.privileges import die_first_without_memory, die_with_parent, name_process

if TYPE_CHECKING:
    import socket

    from longshore.proto.ipc.jail import JailPlan

__all__ = ["EXIT_NO_JAIL", "fork_jailed"]

EXIT_NO_JAIL: Final = 71
"""Exit code of a worker whose jail could not be put up (``EX_OSERR``)."""

_PR_SET_CHILD_SUBREAPER = 36


def fork_jailed(plan: JailPlan, egress: socket.socket | None, control: socket.socket) -> int:
    """Fork, like ``os.fork()``: return 0 in the worker, which is in its jail, and another number in the caller.

    Args:
        plan: the jail.
        egress: the worker's end of its channel to the egress process; ``Jailed`` is sent on it.
        control: the worker's end of its channel to the host; ``BootFailed`` is sent on it when the jail cannot be put
            up, and the process ends with exit code 71.

    Returns:
        0 in the worker; in the caller the pid of the jail's first process, which ends with the worker's exit code, or
        128 and the number of the signal that ended it.

    Raises:
        OSError: there is no new process (only in the caller).
    """
    ids = os.geteuid(), os.getegid()
    zygote = os.pidfd_open(os.getpid())
    try:
        pid = _clone(clone_flags(plan.layers) | signal.SIGCHLD)
        if pid == 0:
            _become_jail(plan, egress, control, ids, zygote)
    finally:
        os.close(zygote)
    return pid


def _become_jail(
    plan: JailPlan, egress: socket.socket | None, control: socket.socket, ids: tuple[int, int], zygote: int
) -> None:
    """Return in the worker only."""
    try:
        _begin(zygote)
        jail = set_up_jail(plan, ids)
        init_pid = os.getpid()
        worker_pid = os.fork()
        if worker_pid:
            be_init(worker_pid, None if jail.inside is None else jail.inside.mine, jail.private)
        enter_jail(plan, jail, egress, init_pid)
    except BaseException as exc:  # noqa: BLE001 - nothing of the zygote's stack may run in this process
        _end_without_jail(exc, control)


def _begin(zygote: int) -> None:
    os.setpgid(0, 0)
    name_process("longshore:init")
    signal.set_wakeup_fd(-1)
    die_first_without_memory()
    # Where there is no pid namespace, orphans come to us all the same.
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    die_with_parent()
    if select.select([zygote], [], [], 0)[0]:  # it ended before that call
        os._exit(0)


def _clone(flags: int) -> int:
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    try:
        pid = syscall("clone", flags)
    except BaseException:
        python.PyOS_AfterFork_Parent()
        raise
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return pid


def _end_without_jail(error: BaseException, control: socket.socket) -> NoReturn:
    is_refused = isinstance(error, JailError)  # by the kernel, which our own lines would not explain
    message = f"no sandbox for the worker: {error if is_refused else f'{type(error).__name__}: {error}'}"
    text = message if is_refused else "".join(traceback.format_exception(error))
    report = ErrorReport(type="SandboxError", message=message, text=text)
    try:
        control.sendall(make_frame(BootFailed(report=report)))
    except OSError:
        pass
    os._exit(EXIT_NO_JAIL)
