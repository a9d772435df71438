"""The host's end of one worker: its channel, and what is known about its process (shell)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.aio.tasks import spawn
from longshore.net.channel import Channel
from longshore.proto.ipc.frames import FrameError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from longshore.proto.ipc.messages import HostMessage, Message, Ready

__all__ = ["WorkerLink"]


class WorkerLink:
    """One worker as the host sees it; made inside the running loop.

    Args:
        worker_id: counts all workers of the host.
        generation: which code and configuration it runs.
        control: our end of its control channel.
        on_message: called for everything it says, with the descriptors that came along; they belong to the callee.
        on_broken: called when it says what cannot be understood; it is not listened to any more.
        is_broken: it serves the page of a boot failure.
        is_jailed: its process is the child of the one that was forked for it.
    """

    def __init__(
        self,
        worker_id: int,
        generation: int,
        control: socket.socket,
        on_message: Callable[[WorkerLink, Message, list[int]], None],
        on_broken: Callable[[WorkerLink], None],
        *,
        is_broken: bool = False,
        is_jailed: bool = False,
    ) -> None:
        self.worker_id = worker_id
        self.generation = generation
        self.is_broken = is_broken
        self.is_jailed = is_jailed
        # Of the process that was forked for it; told over the zygote's channel, perhaps later than Ready over this one.
        self.forked_pid: int | None = None
        self.early_ready: Ready | None = None
        self._channel = Channel(control)
        self._on_message = on_message
        self._on_broken = on_broken
        self._listening = spawn(self._listen(), name=f"longshore worker {worker_id}")

    def send(self, message: HostMessage, fds: Sequence[int] = ()) -> None:
        """Send a message, with duplicates of ``fds``; one to a worker that is gone is dropped."""
        self._channel.send(message, fds)

    async def ended(self) -> None:
        """Take what a process that has ended left in its channel, and close it.

        Cancellation: safe; call again.
        """
        await self._listening
        self._channel.close()

    def close(self) -> None:
        """Close the channel; what was said and not taken is lost. Idempotent."""
        self._channel.close()

    async def _listen(self) -> None:
        try:
            while (received := await self._channel.receive()) is not None:
                self._on_message(self, *received)
        except (OSError, FrameError):
            self._on_broken(self)
