"""``PoolLink``: the way from workers to the pool process, and from there to databases (shell).

The pool process listens nowhere that a worker could reach, and connects to nothing by itself. A worker that asks for
its ``[[hyperdrive]]`` binding gets one end of a socket pair, the pool process the other; so nobody else can use a
binding, and nothing is copied in between. What the pool connects to is dialed here, where it is judged and audited.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from longshore.aio.tasks import spawn
from longshore.errors import SocketError, UsageError
from longshore.net.channel import Channel
from longshore.net.fdpass import close_all
from longshore.proto.ipc.failure import failure_of
from longshore.proto.ipc.pool import (
    CancelServerDial,
    DialServer,
    PoolClient,
    PoolDatabase,
    ServerDialed,
    ServerDialFailed,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.egress.pool_dials import PoolDials
    from longshore.net.opening import Opened
    from longshore.proto.ipc.messages import Message
    from longshore.proto.ipc.pool import DefineDatabase

__all__ = ["NoPool", "PoolDoor", "PoolLink", "is_pooled"]

MAX_UNSENT_BYTES: Final = 64 * 1024
"""Of a pool process that does not read: a thousand clients, and a descriptor of ours for each."""
_GONE: Final = "the pool of databases is not running: it is being started again, try once more"
_BUSY: Final = "the pool of databases does not keep up with new connections"

logger = logging.getLogger(__name__)


class PoolDoor(Protocol):
    """Where the clients of ``[[hyperdrive]]`` bindings go."""

    def pass_client(self, worker_id: int, binding: str, sock: socket.socket) -> None:
        """Give the pool a connection that a worker has made; the caller still closes its own copy.

        Raises:
            SocketError: it cannot take it now.
        """
        ...

    def define(self, worker_id: int, definition: DefineDatabase) -> None:
        """Say what a user name of a worker stands for; forgotten when there is no pool."""
        ...


class PoolLink:
    """Our end of the channel with the pool process, which may be another one later; made inside the running loop.

    Args:
        dials: opens the connections to servers.
    """

    def __init__(self, dials: PoolDials) -> None:
        self._dials = dials
        self._channel: Channel | None = None
        self._running: dict[int, asyncio.Task[None]] = {}

    def attach(self, sock: socket.socket) -> None:
        """Talk to the pool process at the other end of ``sock``, which belongs to the link from now on."""
        self.close()
        self._channel = channel = Channel(sock)

        def on_end(_error: Exception | None) -> None:
            if self._channel is channel:
                self.close()

        channel.listen(self._on_message, on_end)

    def pass_client(self, worker_id: int, binding: str, sock: socket.socket) -> None:
        """See ``PoolDoor``."""
        if self._channel is None or self._channel.is_closed:
            raise SocketError(_GONE, during="connect")
        if self._channel.unsent_bytes > MAX_UNSENT_BYTES:
            raise SocketError(_BUSY, during="connect")
        try:
            self._channel.send_now(PoolClient(worker_id=worker_id, binding=binding), (sock.fileno(),))
        except OSError as exc:
            raise SocketError(f"the host cannot make connections to databases: {exc.strerror}") from exc

    def define(self, worker_id: int, definition: DefineDatabase) -> None:
        """See ``PoolDoor``."""
        if self._channel is not None and self._channel.unsent_bytes <= MAX_UNSENT_BYTES:
            self._channel.send_now(PoolDatabase(worker_id=worker_id, definition=definition))

    def close(self) -> None:
        """End the channel, and give up what is dialed for it. Idempotent."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        for task in list(self._running.values()):
            task.cancel()

    async def aclose(self) -> None:
        """Do the same, and wait until everything is given up.

        Cancellation: everything is given up all the same.
        """
        tasks = list(self._running.values())
        self.close()
        if tasks:
            await asyncio.wait(tasks)

    # -- what the pool asks for ------------------------------------------------------------------

    def _on_message(self, message: Message, fds: list[int]) -> None:
        close_all(fds)
        match message:
            case DialServer(dial_id=dial_id):
                work = self._dial(self._channel, message)
                on_done = self._done(dial_id)
                self._running[dial_id] = spawn(work, name=f"dial of the pool {dial_id}", on_done=on_done)
            case CancelServerDial(dial_id=dial_id):
                if (task := self._running.get(dial_id)) is not None:
                    task.cancel()
            case _:
                logger.error("not for a pool to say: %s", type(message).__name__)

    def _done(self, dial_id: int) -> Callable[[asyncio.Task[None]], None]:
        def on_done(task: asyncio.Task[None]) -> None:
            if self._running.get(dial_id) is task:
                del self._running[dial_id]

        return on_done

    async def _dial(self, channel: Channel | None, ask: DialServer) -> None:
        if channel is None:
            return
        try:
            await self._dials.dial(ask, lambda opened: _hand_out(channel, ask.dial_id, opened))
        except SocketError as exc:
            _answer_failure(channel, ask.dial_id, exc)
        except Exception as exc:
            logger.exception("a dial of the pool failed")
            _answer_failure(channel, ask.dial_id, SocketError(f"internal error: {type(exc).__name__}"))


def _hand_out(channel: Channel, dial_id: int, opened: Opened) -> None:
    if not channel.is_closed:
        channel.send_now(ServerDialed(dial_id=dial_id), (opened.sock.fileno(),))


def _answer_failure(channel: Channel, dial_id: int, error: SocketError) -> None:
    if not channel.is_closed:
        channel.send_now(ServerDialFailed(dial_id=dial_id, failure=failure_of(error)))


def is_pooled(config: WorkerConfig, binding: str | None) -> bool:
    """Say whether this is a ``[[hyperdrive]]`` binding whose connections go to the pool."""
    return binding is not None and any(each.binding == binding and each.is_private for each in config.hyperdrive)


class NoPool:
    """Stands for the pool where there is none."""

    def pass_client(self, worker_id: int, binding: str, sock: socket.socket) -> None:
        """See ``PoolDoor``."""
        del worker_id, sock
        raise UsageError(f"the binding {binding!r} needs the pool of databases, and there is none here")

    def define(self, worker_id: int, definition: DefineDatabase) -> None:
        """See ``PoolDoor``."""
