"""``ChildProcess``: a program of ours that the host starts, talks with over a channel, and ends (shell).

It ends when its end of the channel ends, however the host died: nothing is left running without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.net.channel import Channel
from longshore.proto.ipc.frames import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from longshore.proto.ipc.messages import Message

__all__ = ["ChildProcess"]

_PATIENCE_S: Final = 5.0
"""How long a process that was told to end may take: it reaps its children and writes its last lines, no more. One that
takes longer was stopped by somebody, or hangs; a service manager would end us meanwhile, and leave it."""


class ChildProcess:
    """A running program; made inside the running loop.

    Args:
        command: what to run; the number of its end of the channel is appended.
        on_message: called for everything it says.
        on_end: called once when it is gone without having been closed.
        name: of the task that listens.
        environment: its whole environment; None: ours.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        mine, its = socket.socketpair()
        with its:
            try:
                self._process = _start(command, its.fileno(), environment)
            except BaseException:
                mine.close()
                raise
        self._channel = Channel(mine)
        self._on_message = on_message
        self._on_end = on_end
        self._is_closing = False
        self._listening = spawn(self._listen(), name=name)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Say something, with duplicates of ``fds``; dropped when it is gone."""
        self._channel.send(message, fds)

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        self._process.send_signal(number)

    async def close(self) -> None:
        """Let it end, and wait until it is gone; kill it when that takes too long.

        Cancellation: it ends all the same, and is reaped when the host ends.
        """
        self._is_closing = True
        self._channel.close()
        await self._listening
        # A thread, since neither loop has a way to wait for a process that works in every thread and everywhere.
        await asyncio.to_thread(_wait, self._process)

    async def _listen(self) -> None:
        try:
            while (received := await self._channel.receive()) is not None:
                message, _ = received
                if not self._is_closing:
                    self._on_message(message)
        except (OSError, FrameError):
            pass  # it is gone all the same, perhaps in the middle of a message
        if not self._is_closing:
            self._on_end()


def _start(command: Sequence[str], fd: int, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    """Start it with a session of its own: what a terminal sends to its foreground processes does not reach it."""
    stdout, stderr = _write_only(1), _write_only(2)
    try:
        return subprocess.Popen(  # noqa: S603 - the interpreter that runs us, with a module of ours
            [*command, str(fd)],
            stdin=subprocess.DEVNULL,  # the terminal's keys are the host's
            stdout=stdout,
            stderr=stderr,
            pass_fds=(fd,),
            start_new_session=True,
            env=environment,
        )
    finally:
        for each in (stdout, stderr):
            if each is not None:
                os.close(each)


def _write_only(fd: int) -> int | None:
    """Return a descriptor of the terminal at ``fd`` from which nobody can read keys; None when ``fd`` will do.

    A shell opens its terminal once, for reading and writing, and that is what a worker would inherit.
    """
    if not os.isatty(fd):
        return None
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return None  # a terminal of another container, which has no name here


def _wait(process: subprocess.Popen[bytes]) -> None:
    for _ in range(2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            return
        process.kill()  # its children, which it would have killed, are killed by the kernel
