"""``Tunnel``: TLS made by the egress process; the worker gets the plain side (shell).

Theory of operation. There are no tasks: both directions are ``Flow`` objects that run inside the callbacks of the two
streams::

    worker ── socket pair ── near (FdStream) ── outgoing ──► far (TlsStream) ── peer
                                             ◄── incoming ──

An end-of-file on the socket pair alone says nothing, in neither direction (rule K5):

* The peer's end is end-of-file on the worker's descriptor *and* ``on_end``, which becomes ``TunnelEnded``. On a failure
  ``on_end`` is called as soon as it is known, while bytes that arrived before may still be on their way to the worker.
* The worker's end is end-of-file on our descriptor *and* its word, ``end("write")``. A worker that is killed in the
  middle of what it sends gets its connection reset, and the peer never takes the half for the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, Literal

from longshore.abc import Connection
from longshore.core.info import SocketInfo
from longshore.egress.tunnel_flow import Flow, SinkFailed
from longshore.errors import SocketError
from longshore.net.dial import handshake, refuse_plaintext
from longshore.net.opening import Progress, limited_time
from longshore.net.streams import FdStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.abc import ByteStream
    from longshore.core.tls_options import TlsRequest

__all__ = ["Tunnel", "TunnelStep", "open_tunnel"]

TunnelStep = Literal["write", "close", "abort"]

LINGER_S: Final = 30.0
"""How long what a worker has left behind may take to be sent; as ``Socket.close()`` waits."""


async def open_tunnel(
    sock: socket.socket,
    tls: TlsRequest,
    on_end: Callable[[SocketError | None], None],
    *,
    address: str | None = None,
    info: SocketInfo | None = None,
    is_upgrade: bool = False,
) -> Tunnel:
    """Make a client handshake on a connected plain socket, and carry what a worker and the peer say.

    Args:
        sock: connected; belongs to the tunnel from now on, also when this raises.
        tls: who the peer must be, and with which credentials; ``timeout_s`` bounds the handshake.
        on_end: called at most once, when the peer's direction has ended: with None after close_notify, else with what
            ended it. Never called inside ``open_tunnel()``, nor after ``abort()``.
        address: the peer as the worker wrote it, for messages; the socket's peer when None.
        info: what is known of the plain connection; made from the socket when None.
        is_upgrade: the connection was in use (STARTTLS): bytes that arrived before the handshake fail it.

    Raises:
        TlsError, ResetError: the handshake failed.
        ConnectTimeout: ``tls.timeout_s`` ran out.
        OSError: there are too many open files.

    Cancellation: closes the connection.
    """
    sock.setblocking(False)
    try:
        info = info or SocketInfo(_address_of(sock.getpeername()), _address_of(sock.getsockname()))
        address = address or info.remote_address
        far = _stream(sock, address)
    except BaseException:
        sock.close()
        raise
    try:
        async with limited_time(address, tls.timeout_s, Progress("tls")):
            if is_upgrade:
                refuse_plaintext(far, address)
            connection = await handshake(Connection(far, info), tls, address)
        ours, theirs = socket.socketpair()
    except BaseException:
        far.abort()
        raise
    ours.setblocking(False)
    theirs.setblocking(False)
    return Tunnel(connection, _stream(ours, f"the worker, on behalf of {address}"), theirs, on_end)


def _stream(sock: socket.socket, address: str) -> FdStream:
    # Many workers share this loop: none may keep it turning.
    return FdStream(sock, asyncio.get_running_loop(), address, busy_poll_s=0)


def _address_of(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Tunnel:
    """A connection whose TLS ends here; made by ``open_tunnel()``.

    Args:
        connection: with TLS on it.
        near: our end of the socket pair.
        plain: the worker's end.
        on_end: see ``open_tunnel()``.
    """

    def __init__(
        self, connection: Connection, near: FdStream, plain: socket.socket, on_end: Callable[[SocketError | None], None]
    ) -> None:
        self.info = connection.info
        """Of the connection, with the facts of TLS."""
        self.on_done: Callable[[], None] | None = None
        """Called once, when the connection is closed and nothing is left to be done."""
        self._far: ByteStream = connection.stream
        self._near = near
        self._plain: socket.socket | None = plain
        self._on_end: Callable[[SocketError | None], None] | None = on_end
        self._incoming = Flow(self._far, near, self._carry_in)
        self._outgoing = Flow(near, self._far, self._carry_out)
        self._may_end_write = False
        self._is_left = False
        self._is_incoming_over = False
        self._is_outgoing_over = False
        self._is_done = False
        self._linger: asyncio.TimerHandle | None = None
        # Not before the caller has the tunnel: on_end and on_done may come at once.
        asyncio.get_running_loop().call_soon(self._start)

    @property
    def is_done(self) -> bool:
        """True when the connection is closed and nothing is left to be done."""
        return self._is_done

    def take_plain(self) -> socket.socket:
        """Return the worker's end, non-blocking, which belongs to the caller now; to be called once."""
        assert self._plain is not None, "the worker's end was taken before"
        plain, self._plain = self._plain, None
        return plain

    # -- what the worker says --------------------------------------------------------------------

    def end(self, step: TunnelStep) -> None:
        """Do what the worker says of its side (``EndTunnel``).

        Args:
            step: ``"write"``: its direction ends in order, behind what is in the descriptor. ``"close"``: it has closed
                its end; what is in the descriptor is still sent. ``"abort"``: reset the connection.
        """
        if self._is_done:
            return
        if step == "abort":
            self.abort()
        elif step == "write":
            self._may_end_write = True
            self._carry_out()
        elif not self._is_left:
            self._is_left = True
            self._is_incoming_over = True
            self._on_end = None
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self.abort)
            self._carry_out()
            self._finish_when_over()

    def abort(self) -> None:
        """Reset the connection and close the worker's end. Idempotent, never raises."""
        self._on_end = None
        self._finish(self._far.abort)

    # -- carrying --------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._is_done:
            return
        self._far.set_owner(_End(self._carry_in, self._carry_out, self._on_far_broken))
        self._near.set_owner(_End(self._carry_out, self._carry_in, self._on_near_broken))
        try:
            self._far.flush()  # the last flight of the handshake: a server that speaks first waits for it
        except SocketError as exc:
            self._fail(exc)

    def _carry_in(self) -> None:
        if self._is_incoming_over or self._is_done:
            return
        try:
            if self._incoming.run():
                self._end_near()
                self._is_incoming_over = True
                self._report(None)
                self._finish_when_over()
        except SinkFailed:
            self._is_incoming_over = True  # nobody reads any more; what the worker sends may still arrive
            self._finish_when_over()
        except SocketError as exc:
            self._fail(exc)

    def _carry_out(self) -> None:
        if self._is_outgoing_over or self._is_done:
            return
        try:
            if self._run_outgoing() and self._end_outgoing():
                self._is_outgoing_over = True
                self._finish_when_over()
        except SinkFailed as exc:
            self._outgoing_failed(exc.__cause__)
        except SocketError as exc:
            self._outgoing_failed(exc)

    def _run_outgoing(self) -> bool:
        try:
            return self._outgoing.run()
        except SocketError:
            # Of the socket pair: the worker has closed its end, and whether that was in order, it has to say.
            self._outgoing.is_ended = True
            return True

    def _end_near(self) -> None:
        with contextlib.suppress(SocketError):  # the worker is gone
            self._near.try_write_eof()

    def _end_outgoing(self) -> bool:
        """End our direction towards the peer; False: not yet."""
        if self._may_end_write:
            return self._far.try_write_eof(closing=self._is_incoming_over)
        # Closed without an end: TCP ends, and close_notify is not sent (see ``ByteStream.close``).
        return self._is_left and self._far.flush()

    def _outgoing_failed(self, error: BaseException | None) -> None:
        """Sending failed; what the peer sent before that is still carried in, up to the error."""
        assert isinstance(error, SocketError)
        self._is_outgoing_over = True
        if self._is_incoming_over:
            self._finish(self._far.abort)
        else:
            self._report(error)
            self._carry_in()

    def _fail(self, error: SocketError) -> None:
        """Reading failed: the connection is over, and everything before that is with the worker."""
        self._report(error)
        self._finish(self._far.abort)

    def _on_far_broken(self, error: Exception) -> None:
        """The peer has reset the connection behind bytes that the worker has not made room for."""
        assert isinstance(error, SocketError)
        self._outgoing_failed(error)

    def _on_near_broken(self, _: Exception) -> None:
        self._carry_out()

    # -- ending ----------------------------------------------------------------------------------

    def _report(self, error: SocketError | None) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(error)

    def _finish_when_over(self) -> None:
        if self._is_incoming_over and self._is_outgoing_over:
            self._finish(self._far.close)

    def _finish(self, release: Callable[[], None]) -> None:
        if self._is_done:
            return
        self._is_done = True
        release()
        self._near.close()
        if self._plain is not None:
            self._plain.close()
        if self._linger is not None:
            self._linger.cancel()
        if self.on_done is not None:
            self.on_done()


class _End:
    """A ``StreamOwner`` made of functions."""

    __slots__ = ("on_broken", "on_readable", "on_writable")

    def __init__(
        self,
        on_readable: Callable[[], None],
        on_writable: Callable[[], None],
        on_broken: Callable[[Exception], None],
    ) -> None:
        self.on_readable = on_readable
        self.on_writable = on_writable
        self.on_broken = on_broken
