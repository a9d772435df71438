"""``run_worker``: the life of a worker process, from the message that starts it to its exit code.

The process is a fork of the zygote and has one control channel. Its first message, ``Start``, says what to be, and is
read before there is a loop, because it decides which one. What happens in the loop is ``Worker``'s.

A worker drains when its host is gone. That it ends even if its loop is blocked is the zygote's affair, which kills it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Any

from longshore.net.dial import DirectDialer
from longshore.policy.evaluate import EgressPolicy
from longshore.proto.ipc.messages import Start
from longshore.net.channel import Channel, SyncChannel
from longshore.runtime.worker.child import end_loop, name_process, prepare_process, run_exit_handlers
from longshore.runtime.worker.connections import RecordingDialer
from longshore.runtime.worker.driver_log import recording_class, watch_sockets
from longshore.runtime.worker.logs import report_logs
from longshore.runtime.worker.recorder import Recorder
from longshore.runtime.worker.reporting import ChannelReporter
from longshore.runtime.worker.worker import Worker
from longshore.sockets._connect import set_default_dialer

if TYPE_CHECKING:
    from longshore.abc import Dialer
    from longshore.net.fdpass import Inbox

__all__ = ["EXIT_INTERNAL", "run_worker"]

EXIT_INTERNAL = 70


def run_worker(control: socket.socket) -> int:
    """Be a worker until the host, or a signal, says otherwise.

    Called in a freshly forked process, by its main thread; changes the process for good. The caller ends it with
    ``os._exit``: exit handlers have been run and output is flushed when this returns, and a thread that hangs must not
    keep the process.

    Args:
        control: this end of the control channel; belongs to the worker.

    Returns:
        The exit code: 0 after a drain, 3 when the worker could not boot, 70 for an error of our own.
    """
    started = monotonic()
    prepare_process()
    channel = SyncChannel(control)
    received = channel.receive()
    if received is None:
        return 0  # the host has changed its mind
    start, fds = received
    if not isinstance(start, Start):
        raise TypeError(f"the first message must be Start, not {type(start).__name__}")
    sockets = [socket.socket(fileno=fd) for fd in fds]
    try:
        return _run(start, sockets, *channel.detach(), started)
    finally:
        run_exit_handlers()


def _run(start: Start, sockets: list[socket.socket], control: socket.socket, inbox: Inbox, started: float) -> int:
    name_process(f"longshore:{start.worker_id}")
    loop = _loop_class(is_recording=start.log_connections)()
    try:
        code: int = loop.run_until_complete(_work(start, sockets, control, inbox, started))
    except SystemExit as exc:  # code of the user's ended the process: it is not for us to go on
        return exc.code if isinstance(exc.code, int) else EXIT_INTERNAL
    except BaseException:  # noqa: BLE001 - an error of our own, whatever it is, becomes an exit code
        traceback.print_exc()
        return EXIT_INTERNAL
    finally:
        end_loop(loop)
    return code


async def _work(
    start: Start, sockets: list[socket.socket], control: socket.socket, inbox: Inbox, started: float
) -> int:
    loop: Any = asyncio.get_running_loop()
    channel = Channel(control, inbox)
    reporter = ChannelReporter(channel, loop)
    report_logs(reporter)
    worker = Worker(start, sockets, channel, reporter)
    rules = worker.config.network
    dialer: Dialer = DirectDialer(policy=EgressPolicy(rules.allow, rules.deny))
    if start.log_connections:
        loop.recorder = Recorder(reporter)
        watch_sockets(loop.recorder)
        dialer = RecordingDialer(dialer, loop.recorder)
    set_default_dialer(dialer)
    return await worker.run(started)


def _loop_class(*, is_recording: bool) -> Any:
    """Return uvloop's loop where it is installed, Python's otherwise."""
    loop_class: Any = asyncio.SelectorEventLoop
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - absent on PyPy and Windows

        loop_class = uvloop.Loop
    return recording_class(loop_class) if is_recording else loop_class
