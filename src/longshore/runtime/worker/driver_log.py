"""Connections that drivers make for themselves, told to the host: asyncio's transports, and plain Python sockets.

Only for ``log_connections``. Not seen are connections made in C (libpq: psycopg, psycopg2), and of plain sockets only
that they connect, not how much passes nor how they end.
"""

from __future__ import annotations

import socket
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.recorded_transport import RecordedTransport, make_relay, shown_address, unwrapped
from longshore.runtime.worker.recorder import describe, is_recorded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.runtime.worker.recorded_transport import RecordedProtocol
    from longshore.runtime.worker.recorder import Recorder

__all__ = ["RecordingLoop", "recording_class", "watch_sockets"]


# -- the loop --------------------------------------------------------------------------------------


class RecordingLoop:
    """What a loop class gets in front of it; ``recorder`` is set before the first connection is made."""

    recorder: Recorder

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect, as the loop does, and record it."""
        sock = options.get("sock")
        address = shown_address((host, port) if sock is None else _peer(sock))
        connect: Any = super().create_connection  # type: ignore[misc]  # of the loop class behind
        return await self._recorded(connect, protocol_factory, address, host, port, **options)

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect, as the loop does, and record it."""
        sock = options.get("sock")
        address = shown_address(path if sock is None else _peer(sock))
        connect: Any = super().create_unix_connection  # type: ignore[misc]  # of the loop class behind
        return await self._recorded(connect, protocol_factory, address, path, **options)

    async def _recorded(
        self, connect: Any, protocol_factory: Callable[[], Any], address: str, *place: Any, **options: Any
    ) -> tuple[Any, Any]:
        if is_recorded.get():
            result: tuple[Any, Any] = await connect(protocol_factory, *place, **options)
            return result
        recording = self.recorder.begin(address, "asyncio")
        token = is_recorded.set(True)

        def make_protocol() -> RecordedProtocol:
            # The callbacks of the connection inherit this context, and with it all that a driver starts in them.
            is_recorded.set(False)
            return make_relay(protocol_factory(), recording)

        try:
            _, relay = await connect(make_protocol, *place, **options)
        except BaseException as exc:
            recording.failed(exc)
            raise
        finally:
            is_recorded.reset(token)
        return relay.transport, relay.protocol

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        """Upgrade, as the loop does; the recording goes on above TLS."""
        upgrade: Any = super().start_tls  # type: ignore[misc]  # of the loop class behind
        if not isinstance(transport, RecordedTransport):
            return await upgrade(transport, protocol, sslcontext, **options)
        recording = transport.recording
        relay = make_relay(protocol, recording)
        started = monotonic()
        try:
            inner = await upgrade(transport.inner, relay, sslcontext, **options)
        except BaseException as exc:
            recording.ended(describe(exc))
            raise
        recording.late_tls_s = monotonic() - started
        relay.transport = RecordedTransport(inner, relay)
        return relay.transport

    async def sendfile(self, transport: Any, *place: Any, **options: Any) -> Any:
        """Send a file, as the loop does."""
        send: Any = super().sendfile  # type: ignore[misc]  # of the loop class behind
        count = await send(unwrapped(transport), *place, **options)
        if isinstance(transport, RecordedTransport):
            transport.recording.sent += count
        return count

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket, as the loop does, and record that."""
        connect: Any = super().sock_connect  # type: ignore[misc]  # of the loop class behind
        if is_recorded.get() or sock.type != socket.SOCK_STREAM:
            await connect(sock, address)
            return
        recording = self.recorder.begin(shown_address(address), "socket")
        token = is_recorded.set(True)
        try:
            await connect(sock, address)
        except BaseException as exc:
            recording.failed(exc)
            raise
        finally:
            is_recorded.reset(token)
        recording.opened(shown_address(_peer(sock)))


def recording_class(loop_class: type[asyncio.AbstractEventLoop]) -> Any:
    """Return a subclass of ``loop_class`` that records, as soon as its loop has a ``recorder``.

    It keeps the name and the module of that class: libraries tell loops apart by them.
    """
    names = {"__module__": loop_class.__module__, "__qualname__": loop_class.__qualname__}
    return type(loop_class.__name__, (RecordingLoop, loop_class), names)


# -- synchronous sockets ---------------------------------------------------------------------------


def watch_sockets(recorder: Recorder) -> None:
    """Report plain Python sockets when they connect. It cannot be taken back, and is for a worker process only."""

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == "socket.connect" and not is_recorded.get():
            sock, address = details
            if sock.type == socket.SOCK_STREAM:
                recorder.begin(shown_address(address), "socket").opened()

    sys.addaudithook(hook)


def _peer(sock: Any) -> Any:
    try:
        return sock.getpeername()
    except OSError:
        return ""
