"""The host's end of the zygote: start it, ask it for workers, end it (shell)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.messages import Exited, Fork, Forked, ForkFailed, Kill, ZygoteReady
from longshore.net.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ZYGOTE_COMMAND", "ZygoteProcess"]

# -P: the folder we were started in is no place to import our own modules from.
ZYGOTE_COMMAND = (sys.executable, "-P", "-m", "longshore.runtime.zygote")

ZygoteEvent = ZygoteReady | Forked | ForkFailed | Exited


class ZygoteProcess:
    """A running zygote; made inside the running loop.

    Args:
        on_event: called for everything it says.
        on_end: called once when it is gone without having been closed.
        command: what to run; the descriptor's number is appended.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        on_event: Callable[[ZygoteEvent], None],
        on_end: Callable[[], None],
        *,
        command: Sequence[str] = ZYGOTE_COMMAND,
    ) -> None:
        mine, its = socket.socketpair()
        with its:
            try:
                self._process = _start(command, its.fileno())
            except BaseException:
                mine.close()
                raise
        self._channel = Channel(mine)
        self._on_event = on_event
        self._on_end = on_end
        self._is_closing = False
        self._listening = spawn(self._listen(), name="longshore zygote")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self, worker_id: int) -> socket.socket:
        """Ask for a worker; return our end of its control channel. ``Forked`` or ``ForkFailed`` follows."""
        mine, its = socket.socketpair()
        with its:
            self._channel.send(Fork(worker_id=worker_id), [its.fileno()])
        return mine

    def kill(self, worker_id: int, number: int) -> None:
        """Send a signal to a worker; ``Exited`` follows when it ends."""
        self._channel.send(Kill(worker_id=worker_id, signal=number))

    async def close(self) -> None:
        """End it, with every worker that is left, and wait until it is gone.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        self._is_closing = True
        self._channel.close()
        await self._listening
        # A thread, since neither loop has a way to wait for a process that works in every thread and everywhere.
        await asyncio.to_thread(self._process.wait)

    async def _listen(self) -> None:
        try:
            while (received := await self._channel.receive()) is not None:
                message, _ = received
                assert isinstance(message, ZygoteEvent), f"not from a zygote: {type(message).__name__}"
                if not self._is_closing:
                    self._on_event(message)
        except (OSError, FrameError):
            pass  # it is gone all the same, perhaps in the middle of a message
        if not self._is_closing:
            self._on_end()


def _start(command: Sequence[str], fd: int) -> subprocess.Popen[bytes]:
    """Start it with a session of its own: what a terminal sends to its foreground processes does not reach it."""
    return subprocess.Popen(  # noqa: S603 - the interpreter that runs us, with a module of ours
        [*command, str(fd)],
        stdin=subprocess.DEVNULL,  # the terminal's keys are the host's
        pass_fds=(fd,),
        start_new_session=True,
    )
