"""``run_worker``: the life of a worker process, from the message that starts it to its exit code.

The process is a fork of the zygote and has one control channel. Its first message, ``Start``, says what to be, and is
read before there is a loop, because it decides which one. What happens in the loop is ``Worker``'s.

A worker drains when its host is gone. That it ends even if its loop is blocked is the zygote's affair, which kills it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import traceback
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from longshore.egress.client import BrokerDialer
from longshore.net.channel import Channel, SyncChannel
from longshore.net.dial import DirectDialer
from longshore.net.tls_context import trust_also
from longshore.policy.evaluate import EgressPolicy
from longshore.proto.ipc.messages import Start
from longshore.runtime.worker.child import end_loop, name_process, prepare_process, run_exit_handlers
from longshore.runtime.worker.connections import RecordingDialer
from longshore.runtime.worker.driver_log import recording_class, watch_sockets
from longshore.runtime.worker.logs import report_logs
from longshore.runtime.worker.recorder import Recorder
from longshore.runtime.worker.reporting import ChannelReporter
from longshore.runtime.worker.worker import Worker
from longshore.sockets._connect import set_default_dialer
from longshore.workers._context import connecting_via, current_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.abc import Dialer
    from longshore.config.model import NetworkRules
    from longshore.net.fdpass import Inbox

__all__ = ["EXIT_INTERNAL", "run_worker"]

EXIT_INTERNAL = 70


def run_worker(control: socket.socket, egress: socket.socket | None = None) -> int:
    """Be a worker until the host, or a signal, says otherwise.

    Called in a freshly forked process, by its main thread; changes the process for good. The caller ends it with
    ``os._exit``: exit handlers have been run and output is flushed when this returns, and a thread that hangs must not
    keep the process.

    Args:
        control: this end of the control channel; belongs to the worker.
        egress: this end of the channel to the egress process, which belongs to the worker too; None: there is none,
            and the worker connects by itself, by the same rules but where it lives.

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
    if start.environment is not None:
        os.environ.clear()
        os.environ.update(start.environment)
    sockets = [socket.socket(fileno=fd) for fd in fds]
    try:
        return _run(_Inheritance(start, sockets, *channel.detach(), egress, started))
    finally:
        run_exit_handlers()


@dataclass(frozen=True, slots=True)
class _Inheritance:
    """What a worker begins with."""

    start: Start
    sockets: list[socket.socket]
    """Listening."""
    control: socket.socket
    inbox: Inbox
    """What was received on ``control`` and not taken."""
    egress: socket.socket | None
    started: float

    @property
    def sees_drivers(self) -> bool:
        """Whether this process reports the connections that drivers make: not if the egress process does."""
        return self.start.log_connections and not self.start.has_traps


def _run(given: _Inheritance) -> int:
    name_process(f"longshore:{given.start.worker_id}")
    loop = _loop_class(is_recording=given.sees_drivers)()
    try:
        code: int = loop.run_until_complete(_work(given))
    except SystemExit as exc:  # code of the user's ended the process: it is not for us to go on
        return exc.code if isinstance(exc.code, int) else EXIT_INTERNAL
    except BaseException:  # noqa: BLE001 - an error of our own, whatever it is, becomes an exit code
        traceback.print_exc()
        return EXIT_INTERNAL
    finally:
        end_loop(loop)
    return code


async def _work(given: _Inheritance) -> int:
    loop: Any = asyncio.get_running_loop()
    channel = Channel(given.control, given.inbox)
    reporter = ChannelReporter(channel, loop)
    report_logs(reporter)
    worker = Worker(given.start, given.sockets, channel, reporter)
    trust_also(given.start.extra_roots)
    async with _dialer(given, worker.config.network) as dialer:
        set_default_dialer(_recording(given, dialer, reporter, loop) if given.start.log_connections else dialer)
        return await worker.run(given.started)


@contextlib.asynccontextmanager
async def _dialer(given: _Inheritance, rules: NetworkRules) -> AsyncIterator[Dialer]:
    """Provide what opens the worker's connections."""
    if given.egress is None:
        yield DirectDialer(policy=EgressPolicy(rules.allow, rules.deny))
        return
    broker = BrokerDialer(Channel(given.egress), request_id=current_request_id, via=connecting_via.get)
    try:
        yield broker
    finally:
        await broker.aclose()


def _recording(given: _Inheritance, dialer: Dialer, reporter: ChannelReporter, loop: Any) -> Dialer:
    recorder = Recorder(reporter)
    if given.sees_drivers:
        loop.recorder = recorder
        watch_sockets(recorder)
    return RecordingDialer(dialer, recorder)


def _loop_class(*, is_recording: bool) -> Any:
    """Return uvloop's loop where it is installed, Python's otherwise."""
    loop_class: Any = asyncio.SelectorEventLoop
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - absent on PyPy and Windows

        loop_class = uvloop.Loop
    return recording_class(loop_class) if is_recording else loop_class
