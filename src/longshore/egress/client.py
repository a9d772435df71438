"""``BrokerDialer``: the dialer of a worker, which asks the egress process for each connection.

Runs in the worker, and judges nothing. Plain TLS is made here, on the descriptor that came, so that nobody stands in
the path of its bytes; TLS with a binding is made by the egress process, and what comes is the plain side of a tunnel.

Theory of operation. The channel belongs to the loop that the dialer was made in. A dial waits in ``_asked`` under its
number until ``Dialed`` or ``DialFailed`` comes, and is resumed in that very event. A descriptor that comes for nobody
is closed. Other loops of the process (a thread that runs ``asyncio.run``) ask through that loop.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from longshore.abc import Connection
from longshore.aio.waiter import Waiter
from longshore.core.info import SocketInfo, Timings
from longshore.egress.tunnel_stream import TunnelStream
from longshore.errors import ResetError, SocketError, UsageError
from longshore.net.busy_poll import BusyPoll, usable_processors
from longshore.net.dial import handshake, refuse_plaintext
from longshore.net.fdpass import close_all
from longshore.net.opening import Progress, limited_time
from longshore.net.streams import FdStream
from longshore.proto.ipc.egress import (
    CancelDial,
    Dial,
    Dialed,
    DialFailed,
    EndTunnel,
    HandshakeAsk,
    StartTls,
    TunnelEnded,
)
from longshore.proto.ipc.failure import to_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Literal

    from longshore.abc import ByteStream, DialRequest
    from longshore.core.tls_options import TlsRequest
    from longshore.net.channel import Channel
    from longshore.proto.ipc.messages import Message
    from longshore.proto.ipc.pool import DefineDatabase

__all__ = ["BrokerDialer"]

_HOST = "the egress process of the host"
_LAST_WORDS_S = 1.0
_INET = (socket.AF_INET, socket.AF_INET6)
# For a near destination the answer comes sooner; going to sleep and being woken would cost more than the answer. Not
# where the egress process, which may run where we may, would have to wait for us.
_ANSWER_S = 200e-6 if usable_processors() > 1 else 0.0


def _nobody() -> str:
    return ""


def _connect() -> str:
    return "connect()"


class _Asked:
    """One question under way."""

    __slots__ = ("answer", "sock", "waiter")

    def __init__(self) -> None:
        self.waiter = Waiter()
        self.answer: Dialed | SocketError | None = None
        self.sock: socket.socket | None = None

    def settle(self, answer: Dialed | SocketError, sock: socket.socket | None = None) -> None:
        self.answer, self.sock = answer, sock
        self.waiter.wake()


class BrokerDialer:
    """Asks for connections over a channel; made inside the loop that the channel belongs to, usable from any.

    Args:
        channel: our end of the egress channel; belongs to the dialer.
        request_id: returns the id of the request on whose behalf this code runs, or ``""``.
        via: returns what a connection is asked for with: ``"connect()"``, ``"fetch()"``.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        request_id: Callable[[], str] = _nobody,
        via: Callable[[], str] = _connect,
    ) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._request_id = request_id
        self._via = via
        self._numbers = itertools.count(1)
        self._busy_poll = BusyPoll(self._loop, _ANSWER_S)
        self._asked: dict[int, _Asked] = {}
        self._tunnels: dict[int, tuple[TunnelStream, asyncio.AbstractEventLoop]] = {}
        channel.listen(self._on_message, self._on_end)

    async def dial(self, request: DialRequest) -> Connection:
        """Connect, and make the TLS handshake when the request asks for one: with ``request.binding`` in the host.

        Raises:
            ResolveError, ConnectError, ConnectTimeout, PolicyDenied, LimitExceeded, TlsError, ResetError, UsageError:
                as the egress process says.
            SocketError: the egress process is gone.

        Cancellation: safe; what is opened for it is closed.
        """
        started = monotonic()
        message = self._dial_message(request)
        answer, sock = await self._ask_from_anywhere(message)
        connection = self._connection(answer, sock)
        tls = request.tls
        if tls is None or answer.is_tunnel:
            return connection
        address = str(request.address)
        try:
            async with limited_time(address, request.timeout_s, Progress("tls"), elapsed_s=monotonic() - started):
                return await handshake(connection, tls, address)
        except BaseException:
            connection.stream.abort()
            raise

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a client handshake: in the host for one with ``tls.binding``, here otherwise.

        Raises:
            TlsError: the handshake failed, or plaintext arrived before it.
            ResetError: the connection broke.
            ConnectTimeout: ``tls.timeout_s`` ran out.
            SocketError: the egress process is gone.

        Cancellation: closes the connection.
        """
        stream, address = connection.stream, connection.info.remote_address
        try:
            refuse_plaintext(stream, address)
            if tls.binding is not None:
                return await self._upgrade(connection, tls, tls.binding)
            async with limited_time(address, tls.timeout_s, Progress("tls")):
                return await handshake(connection, tls, address)
        except BaseException:
            stream.abort()
            raise

    async def aclose(self) -> None:
        """Fail every dial in flight, and close the channel once everything is said. Idempotent.

        Cancellation: closes at once.
        """
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._channel.flush()
        except (OSError, TimeoutError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Fail every dial in flight, and close the channel at once. Idempotent."""
        self._channel.close()
        self._lose("is not asked any more: the worker ends")

    def define_database(self, definition: DefineDatabase) -> None:
        """Tell the pool what a user name stands for; from any thread, and before any later dial of this dialer.

        Raises:
            SocketError: the egress process is gone.
        """
        if self._channel.is_closed:
            raise _lost("is gone")
        if asyncio._get_running_loop() is self._loop:
            self._channel.send_now(definition)
            return
        try:
            self._loop.call_soon_threadsafe(self._channel.send_now, definition)
        except RuntimeError:  # the loop is closed, and the channel with it
            raise _lost("is not asked any more: the worker ends") from None

    # -- asking ----------------------------------------------------------------------------------

    def _dial_message(self, request: DialRequest) -> Dial:
        tls = request.tls if request.binding is not None else None
        return Dial(
            dial_id=next(self._numbers),
            address=str(request.address),
            timeout_s=request.timeout_s,
            no_delay=request.no_delay,
            keep_alive_s=request.keep_alive_s,
            local_address=request.local_address,
            request_id=self._request_id(),
            via=self._via(),
            binding=request.binding,
            tls=None if tls is None else _handshake_ask(tls),
        )

    async def _upgrade(self, connection: Connection, tls: TlsRequest, binding: str) -> Connection:
        stream = connection.stream
        message = StartTls(
            dial_id=next(self._numbers),
            binding=binding,
            remote_address=connection.info.remote_address,
            tls=_handshake_ask(tls),
            request_id=self._request_id(),
        )
        if not isinstance(stream, FdStream):
            raise UsageError("TLS with a binding needs a plain connection that was dialed with the binding")
        with stream.detach() as plain:
            answer, sock = await self._ask_from_anywhere(message, plain)
        return self._connection(answer, sock)

    async def _ask_from_anywhere(
        self, message: Dial | StartTls, passed: socket.socket | None = None
    ) -> tuple[Dialed, socket.socket]:
        if asyncio.get_running_loop() is self._loop:
            return await self._ask(message, passed)
        if os.getpid() != self._pid:
            raise _lost("is not asked by a process that was forked from the worker: there, use sockets of your own")
        if self._loop.is_closed():
            raise _lost("is not asked any more: the worker ends")
        asking = asyncio.run_coroutine_threadsafe(self._ask(message, passed), self._loop)
        try:
            return await asyncio.wrap_future(asking)
        except asyncio.CancelledError:
            asking.cancel()
            asking.add_done_callback(self._drop_result)
            raise

    async def _ask(self, message: Dial | StartTls, passed: socket.socket | None = None) -> tuple[Dialed, socket.socket]:
        if self._channel.is_closed:
            raise _lost("is gone")
        asked = self._asked[message.dial_id] = _Asked()
        try:
            self._channel.send_now(message, () if passed is None else (passed.fileno(),))
            self._busy_poll.begin()
            while asked.answer is None:
                await asked.waiter
        except BaseException:
            self._cancel(message.dial_id, asked)
            raise
        if isinstance(asked.answer, SocketError):
            raise asked.answer
        assert asked.sock is not None
        return asked.answer, asked.sock

    def _cancel(self, dial_id: int, asked: _Asked) -> None:
        if self._asked.pop(dial_id, None) is not None:
            self._channel.send(CancelDial(dial_id=dial_id))
        elif asked.sock is not None:  # it came in the very moment
            self._drop(asked.answer, asked.sock)

    def _drop(self, answer: Dialed | SocketError | None, sock: socket.socket) -> None:
        sock.close()
        if isinstance(answer, Dialed) and answer.is_tunnel:
            self._channel.send(EndTunnel(dial_id=answer.dial_id, step="abort"))

    def _drop_result(self, asking: Future[tuple[Dialed, socket.socket]]) -> None:
        """Take what came for a task of another loop that was cancelled in the very moment."""
        if not asking.cancelled() and asking.exception() is None:
            self._loop.call_soon_threadsafe(self._drop, *asking.result())

    def _say(self, message: EndTunnel) -> None:
        if asyncio._get_running_loop() is self._loop:
            self._say_here(message)
            return
        try:
            self._loop.call_soon_threadsafe(self._say_here, message)
        except RuntimeError:  # the loop is closed, and the channel with it
            pass

    def _say_here(self, message: EndTunnel) -> None:
        if message.step != "write":
            self._tunnels.pop(message.dial_id, None)
        self._channel.send(message)

    def _connection(self, answer: Dialed, sock: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            stream: ByteStream
            stream = plain = FdStream(sock, loop, answer.remote_address, is_near=answer.is_near)
        except BaseException:
            self._drop(answer, sock)
            raise
        if answer.is_tunnel:
            stream = TunnelStream(plain, partial(self._tell, answer.dial_id))
            self._tunnels[answer.dial_id] = stream, loop
        return Connection(stream, partial(_info, answer))

    def _tell(self, dial_id: int, step: Literal["write", "close", "abort"]) -> None:
        self._say(EndTunnel(dial_id=dial_id, step=step))

    # -- answers ---------------------------------------------------------------------------------

    def _on_message(self, message: Message, fds: list[int]) -> None:
        self._busy_poll.hit()
        match message:
            case Dialed():
                self._on_dialed(message, fds)
            case DialFailed(dial_id=dial_id, failure=failure):
                asked = self._asked.pop(dial_id, None)
                if asked is not None:
                    asked.settle(to_error(failure))
            case TunnelEnded(dial_id=dial_id, failure=failure):
                self._end_tunnel(dial_id, None if failure is None else to_error(failure))
        close_all(fds)

    def _on_dialed(self, message: Dialed, fds: list[int]) -> None:
        # Saying what it is saves the system calls to find out.
        is_unix = message.is_tunnel or message.is_local
        family = socket.AF_UNIX if is_unix else _INET[message.remote_address.startswith("[")]
        sock = socket.socket(family, socket.SOCK_STREAM, 0, fds.pop())
        asked = self._asked.pop(message.dial_id, None)
        if asked is None:  # it was cancelled, and the answer was on its way
            self._drop(message, sock)
            return
        try:
            sock.setblocking(False)
        finally:
            asked.settle(message, sock)

    def _on_end(self, _error: Exception | None) -> None:
        self._channel.close()
        self._lose("is gone")

    def _lose(self, why: str) -> None:
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.settle(_lost(why))
        for dial_id in list(self._tunnels):
            self._end_tunnel(dial_id, ResetError(f"the connection was lost: {_HOST} {why}", during="read"))

    def _end_tunnel(self, dial_id: int, error: SocketError | None) -> None:
        found = self._tunnels.pop(dial_id, None)
        if found is None:
            return
        stream, loop = found
        if loop is self._loop:
            stream.ended(error)
            return
        try:
            loop.call_soon_threadsafe(stream.ended, error)
        except RuntimeError:  # that loop is closed
            pass


def _lost(why: str) -> SocketError:
    return SocketError(f"cannot connect: {_HOST} {why}", during="connect")


def _handshake_ask(tls: TlsRequest) -> HandshakeAsk:
    return HandshakeAsk(server_name=tls.server_name, alpn=tls.alpn, timeout_s=tls.timeout_s)


def _info(answer: Dialed) -> SocketInfo:
    return SocketInfo(
        answer.remote_address,
        answer.local_address,
        alpn=answer.alpn,
        tls_version=answer.tls_version,
        cipher=answer.cipher,
        peer_certificate=answer.peer_certificate,
        timings=Timings(answer.dns_s, answer.tcp_s, answer.tls_s),
    )
