"""The pool process: keeps the connections to the databases of the workers of one host.

Started by the host as ``python -P -m longshore.pool FD``, where FD is its end of an ``AF_UNIX`` socket pair. It is a
process of its own because database passwords live here, and because sessions of databases must not wait for a host
that reloads, nor connections of workers for a long result.

Rules that must not be broken:

1. It ends when its channel ends, which is the death of the host, however that died.
2. Signals of a terminal or a service manager are the host's business.
3. It connects to nothing by itself: the egress process does, which judges and audits.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING

from longshore.net.channel import Channel
from longshore.net.fdpass import close_all
from longshore.net.service_process import run_service
from longshore.pool.binding.egress_dialer import EgressDialer
from longshore.pool.binding.service import BindingService
from longshore.pool.hot.loop import new_event_loop
from longshore.proto.ipc.frames import FrameError
from longshore.proto.ipc.pool import (
    AddDatabases,
    AttachEgress,
    EgressLost,
    PoolClient,
    PoolDatabase,
    PoolReady,
    RemoveDatabases,
    ServerDialed,
    ServerDialFailed,
)

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import Message

__all__ = ["PoolProcess", "main", "run_pool"]

# So many descriptors are kept for connections to servers, and for what arrives at once: one that finds no room breaks
# the channel that it came by.
_KEPT_DESCRIPTORS = 1_024

logger = logging.getLogger(__name__)


class PoolProcess:
    """Serves the workers that the host names; made inside the running loop.

    Args:
        channel: to the host.
        most_descriptors: a client whose descriptor is this number or higher finds no room.
    """

    def __init__(self, channel: Channel, *, most_descriptors: int | None = None) -> None:
        self._channel = channel
        self._most_descriptors = most_descriptors_of_clients() if most_descriptors is None else most_descriptors
        self._refused_clients = 0
        self._dialer = EgressDialer()
        self._service = BindingService(self._dialer)
        self._egress: Channel | None = None

    async def run(self) -> None:
        """Serve until the host ends.

        Cancellation: gives everything up.
        """
        self._channel.send(PoolReady(pid=os.getpid()))
        try:
            while (received := await self._channel.receive()) is not None:
                message, fds = received
                try:
                    self._obey(message, fds)
                finally:
                    close_all(fds)
        except (OSError, FrameError):
            pass  # the host died, perhaps in the middle of a message
        finally:
            self._dialer.lose()
            if self._egress is not None:
                self._egress.close()
            await self._service.aclose()

    def _obey(self, message: Message, fds: list[int]) -> None:
        match message:
            case AddDatabases():
                listeners = [socket.socket(fileno=fd) for fd in fds]
                fds.clear()
                self._service.add(message, listeners)
            case RemoveDatabases(worker_id=worker_id):
                self._service.remove(worker_id)
            case AttachEgress(number=number):
                self._attach(number, socket.socket(fileno=fds.pop()))
            case _:
                raise AssertionError(f"not for a pool process: {type(message).__name__}")

    # -- the egress process ----------------------------------------------------------------------

    def _attach(self, number: int, sock: socket.socket) -> None:
        if self._egress is not None:
            self._egress.close()
        self._egress = channel = Channel(sock)
        self._dialer.attach(channel)

        def on_end(_error: Exception | None) -> None:
            channel.close()
            if self._egress is channel:
                self._egress = None
                self._dialer.lose()
                self._channel.send(EgressLost(number=number))

        channel.listen(self._on_message, on_end)

    def _on_message(self, message: Message, fds: list[int]) -> None:
        match message:
            case PoolClient(worker_id=worker_id, binding=binding):
                if self._has_room(fds[0]):
                    self._service.add_client(worker_id, binding, socket.socket(fileno=fds.pop()))
            case PoolDatabase(worker_id=worker_id, definition=definition):
                self._service.define(worker_id, definition)
            case ServerDialed() | ServerDialFailed():
                self._dialer.take(message, fds)
            case _:
                logger.error("not for an egress process to say: %s", type(message).__name__)
        close_all(fds)

    def _has_room(self, fd: int) -> bool:
        """Say whether there are descriptors left besides; a new one always has the lowest number that is free."""
        if fd < self._most_descriptors:
            return True
        self._refused_clients += 1
        if self._refused_clients.bit_count() == 1:  # 1, 2, 4, 8 …: not a line for each
            logger.warning(
                "too many open files: %d connections of workers were closed; raise LimitNOFILE= or ulimit -n",
                self._refused_clients,
            )
        return False


def most_descriptors_of_clients() -> int:
    """Return the number below which the descriptors of clients have to be."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    return most - min(_KEPT_DESCRIPTORS, most // 4)


def run_pool(control: socket.socket) -> int:
    """Serve until the host ends; return the exit code.

    Args:
        control: our end of the channel with the host; ``PoolReady`` is the first message on it.
    """
    logging.basicConfig(format="longshore pool: %(message)s", level=logging.INFO)
    return run_service(control, _serve, new_event_loop, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))


async def _serve(channel: Channel) -> None:
    await PoolProcess(channel).run()


def main(arguments: list[str]) -> int:
    """Be the pool process of the host at the other end of descriptor ``arguments[0]``; return the exit code."""
    (fd,) = arguments
    return run_pool(socket.socket(fileno=int(fd)))
