"""``WorkerServer``: uvicorn's HTTP, on sockets that the host opened, in a loop that belongs to the worker.

Of uvicorn this takes the configuration and the protocols. Its ``Server`` owns signals, polls ten times a second and
knows one way to end; a worker is told by messages when to begin, to adopt and to end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import uvicorn

from longshore.runtime.worker.lifespan import Lifespan
from longshore.runtime.worker.protocol import WorkerProtocol, WorkerWebSocketProtocol
from longshore.runtime.worker.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from longshore.runtime.worker.lifespan import Application

__all__ = ["BACKLOG", "WorkerServer"]

BACKLOG = 2048
"""Connections that wait to be accepted; asyncio sets it again on the host's listening socket."""

KEEP_ALIVE_S = 65
"""Longer than the 60 s after which common load balancers close an idle connection themselves."""

# Turns of the loop after which a connection that asyncio has accepted has its protocol.
_ACCEPT_TURNS = 5


class WorkerServer:
    """Serves one ASGI application.

    Args:
        app: the application.
        sockets: bound TCP or Unix sockets that listen; they belong to the server from now on.
    """

    def __init__(self, app: Application, sockets: Sequence[socket.socket]) -> None:
        self._config = _make_config(app)
        self._listening = list(sockets)
        for sock in self._listening:
            # All workers share the flag. `dup()` sets it as the object says, and a worker that accepts while it says
            # "blocking" hangs until the next connection comes.
            sock.setblocking(False)
        self._serving = Serving()
        self._lifespan = Lifespan(app)
        self._servers: list[asyncio.base_events.Server] = []
        self._ticking: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the application, then accept connections.

        Raises:
            LifespanFailed: the application's startup failed.
            OSError: a socket cannot be listened on.

        Cancellation: safe; ``close()`` cleans up.
        """
        await self._lifespan.startup()
        loop = asyncio.get_running_loop()
        self._tick(loop)
        for sock in self._listening:
            # asyncio closes what it serves; the original is needed to empty the queue at the end.
            server = await loop.create_server(self._make_protocol, sock=sock.dup(), backlog=BACKLOG)
            self._servers.append(server)

    async def adopt(self, fd: int) -> None:
        """Serve a connection that was idle in another worker; the descriptor belongs to the server.

        A connection that broke on the way is dropped in silence.
        """
        await self._serve(socket.socket(fileno=fd))

    async def stop_accepting(self, *, is_last: bool) -> None:
        """Accept no more.

        Args:
            is_last: True when no successor accepts: what waits in the queue is served first.

        Cancellation: may leave the listening sockets open; ``close()`` closes them.
        """
        for server in self._servers:
            server.close()
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        for sock in self._listening:
            while is_last and (waiting := _accept_all(sock)):
                for accepted in waiting:
                    await self._serve(accepted)
            sock.close()
        self._listening.clear()

    def drain(self, hand_over: Callable[[int], None] | None) -> None:
        """Begin to let every connection go; see ``Serving.drain``."""
        self._serving.drain(hand_over)

    async def wait_empty(self) -> None:
        """Wait until the last connection is gone.

        Cancellation: safe.
        """
        await self._serving.wait_empty()

    async def shutdown(self) -> None:
        """End the application's lifespan.

        Raises:
            LifespanFailed: the application's shutdown failed.
        """
        await self._lifespan.shutdown()

    def close(self) -> None:
        """Break every connection that is left and release the sockets. Idempotent."""
        for server in self._servers:
            server.close()
        for sock in self._listening:
            sock.close()
        self._serving.abort()
        if self._ticking is not None:
            self._ticking.cancel()

    async def _serve(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, sock)
        except OSError:
            sock.close()

    def _make_protocol(self) -> asyncio.Protocol:
        return WorkerProtocol(self._config, self._serving, self._lifespan.state)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the ``date`` header of every response once a second."""
        # A new list each time: responses that have begun keep theirs.
        self._serving.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._ticking = loop.call_later(1.0, self._tick, loop)


def _make_config(app: Any) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        loop="none",
        http=WorkerProtocol,
        ws=WorkerWebSocketProtocol,
        lifespan="off",  # ours is used
        interface="asgi3",
        log_config=None,  # logging belongs to the user
        log_level="warning",
        access_log=False,  # the host tells of requests
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    logging.getLogger("uvicorn.error").addFilter(_is_news)  # one and the same filter is added once
    return config


def _is_news(record: logging.LogRecord) -> bool:
    """Drop uvicorn's line about a response that was cut short: ``WorkerApp`` has reported why."""
    return record.msg != "ASGI callable returned without completing response."


def _accept_all(sock: socket.socket) -> list[socket.socket]:
    """Return the connections that wait to be accepted now."""
    sock.setblocking(False)
    accepted: list[socket.socket] = []
    while True:
        try:
            connection, _ = sock.accept()
        except ConnectionAbortedError:  # it has left again
            continue
        except OSError:  # nobody waits any more, or no descriptor is free
            return accepted
        accepted.append(connection)
