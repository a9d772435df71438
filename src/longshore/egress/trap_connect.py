"""``Connects``: what becomes of a worker's connect(2) (shell).

The order of things for a socket that has no connection yet: what does the address mean (``names``), may it be reached
(``judge``), is there room (``gate``), and only then a connect(2) of our own, on the worker's own socket, with an
address that was made here. Loopback addresses are the worker's where it listens, and the host's otherwise, which has to
be allowed. A socket that belongs to the other network is exchanged for a new one.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_caller import (
    begin_connect,
    connect_again,
    connect_nowait,
    family_of,
    has_failed,
    is_blocking,
    nonblocking,
    type_of,
)
from longshore.egress.trap_decision import (
    WAS_UNCONNECTED,
    Locality,
    address_error,
    locality,
    to_loopback,
)
from longshore.egress.trap_outbound import Outbound
from longshore.egress.trap_waiting import Waiting
from longshore.sandbox.foreign import connect_raw
from longshore.sandbox.structs import AF_INET, AF_INET6, AF_UNSPEC, make_sockaddr, parse_family, parse_peer

if TYPE_CHECKING:
    import socket

    from longshore.core.host_syntax import IpAddress
    from longshore.egress.context import WorkerContext
    from longshore.egress.trap_caller import Trapped
    from longshore.egress.trap_outbound import Relay
    from longshore.sandbox.structs import Notification, Peer

__all__ = ["Connects"]

_SOCK_STREAM: Final = 1


class Connects:
    """Answers the connects of TCP and UDP of one worker.

    Args:
        context: of the worker.
        trapped: its processes.
        listening: ports on which it listens, or did, inside its own network.
        relay: for bindings; without one their names lead nowhere.
    """

    def __init__(self, context: WorkerContext, trapped: Trapped, listening: set[int], relay: Relay | None) -> None:
        self._context = context
        self._trapped = trapped
        self._listening = listening
        self._waiting = Waiting(trapped.listener)
        self._outbound = Outbound(context, trapped, self._waiting, relay)

    def close(self) -> None:
        """Give up all that wait."""
        self._waiting.close()
        self._outbound.close()

    def connect(self, call: Notification, raw: bytes, sock: socket.socket) -> None:
        """Answer a connect of an IPv4 or IPv6 socket, now or later.

        Args:
            call: the call.
            raw: the address, as the worker gave it.
            sock: the socket; belongs to this object from now on.

        Raises:
            OSError: the answer, where it is an error found here.
            GoneError: nobody waits for an answer.
        """
        code: int | None
        try:
            if type_of(sock) != _SOCK_STREAM:
                code = self._connect_datagram(raw, sock)
            elif parse_family(raw) == AF_UNSPEC:
                code = self._disconnect(raw, sock)
            else:
                code = self._connect_stream(call, raw, sock)
        except BaseException:
            sock.close()
            raise
        if code is not None:
            sock.close()
            self._trapped.listener.answer(call.id, code)

    # -- what is no new connection ---------------------------------------------------------------

    def _connect_datagram(self, raw: bytes, sock: socket.socket) -> int:
        if self._trapped.is_outside(sock):
            # None is ever made for a worker. It could send anywhere, connected or not.
            self._context.audit.refuse("connect", "a datagram socket of the host's network")
            return errno.EACCES
        return connect_raw(sock.fileno(), raw)

    def _disconnect(self, raw: bytes, sock: socket.socket) -> int:
        if not self._trapped.is_outside(sock):
            return connect_raw(sock.fileno(), raw)
        # A socket of the host's network that is free again could be bound, or listen, there.
        self._context.audit.refuse("disconnect", "AF_UNSPEC on a socket of the host's network")
        return errno.EINVAL

    def _connect_stream(self, call: Notification, raw: bytes, sock: socket.socket) -> int | None:
        """Return the answer, or None when it comes later and the socket is in other hands."""
        with nonblocking(sock):
            code = connect_again(sock)
        if code == errno.EALREADY and is_blocking(sock):
            self._waiting.add(call, sock, None, timeout_code=errno.EALREADY)
            return None
        if code != WAS_UNCONNECTED:
            return code
        if code := address_error(family_of(sock), raw):
            return code
        peer = parse_peer(raw)
        assert peer is not None, "address_error() has checked family and length"
        return self._connect_new(call, peer, sock)

    # -- a new connection ------------------------------------------------------------------------

    def _connect_new(self, call: Notification, peer: Peer, sock: socket.socket) -> int | None:
        where = locality(peer.ip)
        if where is Locality.OUTSIDE:
            return self._outbound.connect(call, peer, sock)
        if not self._trapped.is_outside(sock):
            if where is Locality.INSIDE or peer.port in self._listening:
                return self._go_on(call, sock, begin_connect(sock, _inside_sockaddr(sock, peer)))
        elif where is Locality.INSIDE or peer.port in self._listening:
            answer = self._move_inside(call, peer, sock)
            if answer != errno.ECONNREFUSED or where is Locality.INSIDE:
                return answer
            # Nothing listens there any more: what is left is the host's loopback.
        return self._outbound.connect(call, peer, sock)

    def reach_inside(self, ip: IpAddress, port: int) -> socket.socket | None:
        """Return a new connection within the worker's own network; None: ``ip`` and ``port`` are not there.

        Raises:
            OSError: they are, and cannot be connected.
        """
        where = locality(ip)
        if where is Locality.OUTSIDE or (where is Locality.LOOPBACK and port not in self._listening):
            return None
        sock = self._trapped.make_new_inside(AF_INET6 if ip.version == 6 else AF_INET)
        sockaddr = make_sockaddr(family_of(sock), to_loopback(ip), port)
        code = connect_raw(sock.fileno(), sockaddr or b"")
        if code == errno.EINPROGRESS:
            code = connect_again(sock)  # within one machine the handshake is over by now
        if code == 0:
            return sock
        sock.close()
        if code == errno.ECONNREFUSED and where is Locality.LOOPBACK:
            return None  # nothing listens there any more: what is left is the host's loopback
        if code == errno.EALREADY:
            code = errno.ETIMEDOUT  # a full backlog does not answer
        raise OSError(code, os.strerror(code))

    def _move_inside(self, call: Notification, peer: Peer, sock: socket.socket) -> int | None:
        """Connect within the worker's own network; ECONNREFUSED leaves ``sock`` where it is."""
        mine = self._trapped.make_inside(sock)
        try:
            code = connect_nowait(mine, _inside_sockaddr(mine, peer))
            # Within one machine the answer is there when the call returns; a full backlog does not answer.
            if code == errno.EINPROGRESS and has_failed(mine):
                code = errno.ECONNREFUSED
            if code not in (0, errno.EINPROGRESS):
                mine.close()
                return code
            self._trapped.exchange(call, mine)
        except BaseException:
            mine.close()
            raise
        if code == errno.EINPROGRESS and is_blocking(mine):
            with nonblocking(mine):
                code = connect_again(mine)
        return self._trapped.hand_over(call, sock, mine, self._go_on(call, mine, code))

    def _go_on(self, call: Notification, sock: socket.socket, code: int) -> int | None:
        if code != errno.EALREADY:
            return code
        self._waiting.add(call, sock, None)
        return None


def _inside_sockaddr(sock: socket.socket, peer: Peer) -> bytes:
    sockaddr = make_sockaddr(family_of(sock), peer.ip, peer.port, peer.scope_id)
    assert sockaddr is not None, "the address came for a socket of this family"
    return sockaddr
