"""``BindingRelay``: serves the private names of ``[[egress]]`` bindings to unmodified drivers (shell).

A driver connects to ``env.BILLING.host``; its connect(2) is trapped and led to a listener of ours on the loopback
interface. There the connection is recognised by its source port, which was chosen before it was connected: whoever else
connects to the listener is reset. Then the binding's connection is made, with its TLS, and the two are joined.

The driver is connected before its server is: a failure there is a reset, and the audit log says why.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from longshore.abc import Connection
from longshore.aio.tasks import spawn
from longshore.core.info import SocketInfo
from longshore.egress.credentials import binding_tls
from longshore.egress.dial import OutboundDial
from longshore.egress.pool_link import NoPool, is_pooled
from longshore.egress.relay_pipe import Pipe
from longshore.errors import SocketError
from longshore.net.dial import handshake
from longshore.net.opening import limited_time
from longshore.net.streams import FdStream
from longshore.proto.ipc.egress import Dial

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress
    from longshore.egress.context import WorkerContext
    from longshore.egress.pool_link import PoolDoor

__all__ = ["BindingRelay"]

LOOPBACK: Final = IPv4Address("127.0.0.1")
CONNECT_TIMEOUT_S: Final = 60.0
"""As of ``connect()``: nobody tells how long a driver would wait."""
ACCEPT_TIMEOUT_S: Final = 10.0
"""After that a source port is no sign any more: the connection was given up, and somebody else may get the port."""
PAUSE_S: Final = 0.1
MAX_RELAYED: Final = 8_192
"""Of one worker; each is two descriptors of ours."""
_IP_BIND_ADDRESS_NO_PORT: Final = 24
_BACKLOG: Final = 512
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

logger = logging.getLogger(__name__)


class BindingRelay:
    """The relay of one worker (a ``longshore.egress.trap_outbound.Relay``); made inside the running loop.

    Args:
        context: of the worker.
        pool: takes the connections to ``[[hyperdrive]]`` bindings, as they are.
    """

    def __init__(self, context: WorkerContext, pool: PoolDoor | None = None) -> None:
        self._context = context
        self._pool = pool or NoPool()
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = None
        self._expected: dict[int, tuple[str, asyncio.TimerHandle]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._pipes: set[Pipe] = set()
        self._is_closed = False

    def expect(self, binding: str, sock: socket.socket) -> tuple[IpAddress, int]:
        """Return the address of ours to connect ``sock`` to; see ``Relay.expect``.

        Raises:
            OSError: the worker has bound its socket, or there are too many open files, or too many connections.
        """
        if self._is_closed:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        if len(self._expected) + len(self._opening) + len(self._pipes) >= MAX_RELAYED:
            raise OSError(errno.ENOBUFS, f"{MAX_RELAYED} connections are relayed already")
        port = self._listen()
        # Otherwise the port is chosen by connect(), and is not known here.
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 0)
        sock.bind((str(LOOPBACK) if sock.family == socket.AF_INET else f"::ffff:{LOOPBACK}", 0))
        source: int = sock.getsockname()[1]
        self._forget(source)
        self._expected[source] = binding, self._loop.call_later(ACCEPT_TIMEOUT_S, self._forget, source)
        return LOOPBACK, port

    def close(self) -> None:
        """Stop, and reset what is joined. Idempotent."""
        self._is_closed = True
        if self._listener is not None:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for source in list(self._expected):
            self._forget(source)
        for task in list(self._opening):
            task.cancel()
        for pipe in list(self._pipes):
            pipe.abort()

    # -- accepting -------------------------------------------------------------------------------

    def _listen(self) -> int:
        """Return the port of the listener, which is made for the first driver."""
        if self._listener is None:
            listener = socket.create_server((str(LOOPBACK), 0), backlog=_BACKLOG)
            listener.setblocking(False)
            self._listener = listener
            self._loop.add_reader(listener.fileno(), self._accept)
        found: int = self._listener.getsockname()[1]
        return found

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            sock, (ip, source, *_) = self._listener.accept()
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):
                self._pause()
            return  # else it is gone again
        sock.setblocking(False)
        expected = self._expected.get(source) if ip == str(LOOPBACK) else None
        if expected is not None and is_pooled(self._context.config, expected[0]):
            self._forget(source)
            self._pass_to_pool(expected[0], sock)
            return
        near = FdStream(sock, self._loop, f"the worker at {ip}:{source}", busy_poll_s=0)
        if expected is None:
            near.abort()
            return
        self._forget(source)
        binding, _ = expected
        task = spawn(self._serve(binding, near), name=f"relay {binding}", on_done=self._opening.discard)
        self._opening.add(task)

    def _pass_to_pool(self, binding: str, sock: socket.socket) -> None:
        with sock:
            try:
                self._pool.pass_client(self._context.worker_id, binding, sock)
            except SocketError as exc:
                logger.warning("a connection of worker %r to %s failed: %s", self._context.config.name, binding, exc)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _pause(self) -> None:
        """Look again in a while: a listener that cannot be emptied would keep the loop turning."""
        assert self._listener is not None
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _forget(self, source: int) -> None:
        found = self._expected.pop(source, None)
        if found is not None:
            found[1].cancel()

    # -- joining ---------------------------------------------------------------------------------

    async def _serve(self, binding: str, near: FdStream) -> None:
        try:
            far = await self._connect(binding)
        except SocketError:
            near.abort()  # the audit log has it
        except asyncio.CancelledError:
            near.abort()
            raise
        except Exception:
            logger.exception("a relayed connection failed")
            near.abort()
        else:
            pipe = Pipe(near, far.stream, self._pipes.discard)
            if not pipe.is_done:
                self._pipes.add(pipe)

    async def _connect(self, binding: str) -> Connection:
        dial = OutboundDial(
            self._context,
            Dial(dial_id=0, address=_ANYWHERE, timeout_s=CONNECT_TIMEOUT_S, via="socket", binding=binding),
        )
        try:
            address = str(dial.ask.request.address)
            async with limited_time(address, CONNECT_TIMEOUT_S, dial.progress):
                if not dial.begin():
                    await dial.finish()
                return await self._secure(binding, dial, address)
        except BaseException as exc:
            dial.failed(exc)
            raise

    async def _secure(self, binding: str, dial: OutboundDial, address: str) -> Connection:
        opened = dial.take()
        sock = opened.sock
        try:
            tls = (
                None if dial.ask.tls is None else binding_tls(self._context.config, self._context.credentials, binding)
            )
            dial.track(opened)
            local = _local_address(sock)
            plain = Connection(
                FdStream(sock, self._loop, address, busy_poll_s=0), SocketInfo(opened.remote_address, local)
            )
        except BaseException:
            sock.close()
            raise
        if tls is None:
            dial.opened(opened, local)
            return plain
        dial.progress.during = "tls"
        connection = await handshake(plain, tls, address)
        dial.opened(opened, local, tls_s=connection.info.timings.tls_s)
        return connection


def _local_address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_ANYWHERE: Final = "binding.invalid:1"
"""Where an ``[[egress]]`` binding leads is in the configuration."""
