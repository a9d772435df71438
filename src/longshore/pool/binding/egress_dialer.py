"""``EgressDialer``: the pool's connections to servers, opened by the egress process (shell)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import TYPE_CHECKING, Protocol

from longshore.core.host_syntax import join_host_port
from longshore.errors import PolicyDenied, SocketError
from longshore.net.fdpass import close_all
from longshore.pool.servers.login_failed import LoginFailed
from longshore.proto.ipc.failure import to_error
from longshore.proto.ipc.pool import CancelServerDial, DialServer, ServerDialed, ServerDialFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.net.channel import Channel

__all__ = ["BoundDialer", "EgressDialer", "WorkerDialer"]

_GONE = "the process that makes connections is being started again"


class WorkerDialer(Protocol):
    """Opens connections on behalf of workers."""

    async def dial(self, worker_id: int, binding: str, address: str, *, is_declared: bool) -> socket.socket:
        """Return a connected, non-blocking socket.

        Args:
            worker_id: on whose behalf.
            binding: through which of its bindings.
            address: ``host:port``.
            is_declared: whether its configuration says this address; otherwise the worker's rules decide.

        Raises:
            OSError: there is none; the message says why.
            LoginFailed: it is forbidden.

        Cancellation: safe.
        """
        ...


class EgressDialer:
    """Asks over the channel to the egress process, which may be another one later."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[socket.socket]] = {}

    def attach(self, channel: Channel) -> None:
        """Ask over this channel from now on; what was asked over the former one has failed."""
        self.lose()
        self._channel = channel

    def lose(self) -> None:
        """Fail everything that was asked. Idempotent."""
        self._channel = None
        asked, self._asked = self._asked, {}
        for each in asked.values():
            if not each.done():
                each.set_exception(ConnectionError(_GONE))

    async def dial(self, worker_id: int, binding: str, address: str, *, is_declared: bool) -> socket.socket:
        """See ``WorkerDialer``."""
        channel = self._channel
        if channel is None or channel.is_closed:
            raise ConnectionError(_GONE)
        dial_id = next(self._numbers)
        ask = DialServer(
            dial_id=dial_id, worker_id=worker_id, binding=binding, address=address, is_declared=is_declared
        )
        answer = self._asked[dial_id] = asyncio.get_running_loop().create_future()
        try:
            channel.send_now(ask)
            sock: socket.socket = await answer
        except asyncio.CancelledError:
            if self._asked.pop(dial_id, None) is not None:
                if not channel.is_closed:
                    channel.send(CancelServerDial(dial_id=dial_id))
            elif answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().close()
            raise
        return sock

    def take(self, message: ServerDialed | ServerDialFailed, fds: list[int]) -> None:
        """Take an answer; its descriptors are used up."""
        answer = self._asked.pop(message.dial_id, None)
        if isinstance(message, ServerDialFailed):
            if answer is not None and not answer.done():
                answer.set_exception(_failed(to_error(message.failure)))
        elif answer is not None and not answer.done():
            sock = socket.socket(fileno=fds.pop())
            sock.setblocking(False)
            answer.set_result(sock)
        close_all(fds)


def _failed(error: SocketError) -> Exception:
    """Return what to tell the pool: what is forbidden stays so, however often it is tried."""
    if isinstance(error, PolicyDenied):
        return LoginFailed(f"{error}: the rules of the worker do not let it connect there", is_permanent=True)
    return ConnectionError(str(error))


class BoundDialer:
    """Opens the connections of one database (a ``longshore.pool.servers.dialing.ServerDialer``).

    Args:
        dialer: asks for them.
        binding: through which it is reached.
        worker_id: returns on whose behalf: one of those that use the database.
        is_declared: see ``WorkerDialer``.
    """

    def __init__(
        self, dialer: WorkerDialer, binding: str, worker_id: Callable[[], int | None], *, is_declared: bool
    ) -> None:
        self._dialer = dialer
        self._binding = binding
        self._worker_id = worker_id
        self._is_declared = is_declared

    async def dial(self, host: str, port: int) -> socket.socket:
        """Return a connected, non-blocking socket; see ``ServerDialer``."""
        worker_id = self._worker_id()
        if worker_id is None:
            raise ConnectionError("no worker uses this database any more")
        address = join_host_port(host, port)
        return await self._dialer.dial(worker_id, self._binding, address, is_declared=self._is_declared)
