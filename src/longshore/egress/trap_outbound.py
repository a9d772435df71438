"""``Outbound``: a worker's connect(2) that leaves its own network (shell)."""

from __future__ import annotations

import asyncio
import errno
import logging
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from longshore.aio.tasks import spawn
from longshore.egress.names import Destination
from longshore.egress.trap_caller import GoneError, begin_connect, family_of, is_blocking
from longshore.egress.trap_decision import denial_errno, limit_errno, outcome, to_loopback
from longshore.egress.trap_waiting import GAVE_UP
from longshore.errors import LimitExceeded
from longshore.net.connect import format_address
from longshore.sandbox.structs import make_sockaddr

if TYPE_CHECKING:
    import socket

    from longshore.core.host_syntax import IpAddress
    from longshore.egress.audit import Entry
    from longshore.egress.context import WorkerContext
    from longshore.egress.gate import Permit
    from longshore.egress.trap_caller import Trapped
    from longshore.egress.trap_waiting import Waiting
    from longshore.sandbox.structs import Notification, Peer

__all__ = ["Outbound", "Relay"]

logger = logging.getLogger(__name__)


class Relay(Protocol):
    """Where trapped connections to the private names of bindings go."""

    def expect(self, binding: str, sock: socket.socket) -> tuple[IpAddress, int]:
        """Return the address of ours to connect ``sock`` to, which the worker means for this binding.

        ``sock`` is an unconnected socket of the host's network; it may be bound, so as to know its connection again.

        Raises:
            OSError: it cannot be served; the worker is told this error.
        """
        ...


class Outbound:
    """Judges and makes connections to the world.

    Args:
        context: of the worker.
        trapped: its processes.
        waiting: where blocking connects wait.
        relay: for bindings; without one their names lead nowhere.
    """

    def __init__(self, context: WorkerContext, trapped: Trapped, waiting: Waiting, relay: Relay | None) -> None:
        self._context = context
        self._trapped = trapped
        self._waiting = waiting
        self._relay = relay
        self._queued: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Give up those that wait for room."""
        for task in self._queued:
            task.cancel()

    def connect(self, call: Notification, peer: Peer, sock: socket.socket) -> int | None:
        """Connect a fresh socket.

        Returns:
            The answer, or None when it is given later (or was); then the socket is closed, or in other hands.

        Raises:
            OSError: the answer, where it is an error found here.
            GoneError: nobody waits for an answer.
        """
        attempt = self._judge(peer)
        if isinstance(attempt, int):
            return attempt
        if isinstance(attempt, Destination):
            return self._lead_to_relay(call, peer, attempt, sock)
        try:
            permit = self._context.gate.try_admit()
        except LimitExceeded as exc:
            if not is_blocking(sock):
                attempt.entry.limited(exc)
                return limit_errno(exc.limit)
            self._queue(call, attempt, sock)
            return None
        return self._start(call, attempt, permit, sock)

    def _judge(self, peer: Peer) -> _Attempt | Destination | int:
        """Return what is to be connected, or the errno of a refusal, which is in the audit log then.

        What a binding stands for is judged by the relay.
        """
        context, ip = self._context, to_loopback(peer.ip)
        destination = context.names.destination(ip)
        if destination is None:
            entry = context.audit.begin(name=str(ip), port=peer.port, via="socket")
            entry.failed("synthetic address without a name")
            return errno.EHOSTUNREACH
        if destination.binding is not None:
            return destination
        entry = context.audit.begin(name=destination.hostname, port=peer.port, via="socket")
        also = (*destination.also, "localhost") if ip.is_loopback else destination.also
        verdict = context.judge.judge(destination.ip, peer.port, hostname=destination.hostname, also=also)
        if verdict.is_allowed:
            return _Attempt(entry, destination, peer.port, verdict.rule)
        entry.denied(verdict.rule, address=format_address(destination.ip, peer.port), outcome=verdict.outcome)
        return denial_errno(verdict)

    def _lead_to_relay(
        self, call: Notification, peer: Peer, destination: Destination, sock: socket.socket
    ) -> int | None:
        """Connect to the relay, which admits and audits the connection that it makes then; a failure here is ours."""
        try:
            mine = sock if self._trapped.is_outside(sock) else self._move_outside(call, sock)
            try:
                code = begin_connect(mine, self._relay_sockaddr(destination.binding or "", mine))
            except BaseException:
                if mine is not sock:
                    mine.close()
                raise
        except OSError as exc:
            name, binding = destination.hostname, destination.binding or ""
            entry = self._context.audit.begin(name=name, port=peer.port, via="socket", binding=binding)
            entry.failed(outcome(exc.errno or errno.EIO))
            raise
        if code == errno.EALREADY:
            self._waiting.add(call, mine, None)
            return self._trapped.hand_over(call, sock, mine, None)
        return self._trapped.hand_over(call, sock, mine, code)

    def _relay_sockaddr(self, binding: str, sock: socket.socket) -> bytes:
        if self._relay is None:
            raise OSError(errno.EHOSTUNREACH, "bindings have no relay")
        ip, port = self._relay.expect(binding, sock)
        sockaddr = make_sockaddr(family_of(sock), ip, port)
        assert sockaddr is not None, "the relay listens at an IPv4 address"
        return sockaddr

    def _start(self, call: Notification, attempt: _Attempt, permit: Permit, sock: socket.socket) -> int | None:
        """Connect; the permit and the entry are settled on every path."""
        try:
            mine = sock if self._trapped.is_outside(sock) else self._move_outside(call, sock)
            try:
                code = begin_connect(mine, self._outside_sockaddr(attempt, mine))
            except BaseException:
                if mine is not sock:
                    mine.close()
                raise
        except BaseException as exc:
            permit.release()
            attempt.entry.failed(outcome(exc.errno or errno.EIO) if isinstance(exc, OSError) else "given up")
            raise
        return self._trapped.hand_over(call, sock, mine, self._follow(call, attempt, permit, mine, code))

    def _move_outside(self, call: Notification, sock: socket.socket) -> socket.socket:
        new = self._trapped.make_outside(sock)
        try:
            self._trapped.exchange(call, new)
        except BaseException:
            new.close()
            raise
        return new

    def _outside_sockaddr(self, attempt: _Attempt, sock: socket.socket) -> bytes:
        sockaddr = make_sockaddr(family_of(sock), attempt.destination.ip, attempt.port)
        if sockaddr is None:
            raise OSError(errno.ENETUNREACH, "an IPv4 socket does not reach an IPv6 address")
        return sockaddr

    def _follow(
        self, call: Notification, attempt: _Attempt, permit: Permit, sock: socket.socket, code: int
    ) -> int | None:
        if code in (0, errno.EINPROGRESS, errno.EALREADY) and attempt.destination.is_synthetic:
            self._context.names.note_reached(attempt.destination.hostname, attempt.destination.ip)
        settle = partial(self._settle, attempt, permit, sock)
        if code == errno.EALREADY:
            self._waiting.add(call, sock, settle)
            return None
        # The worker goes on while the audit log is written.
        self._trapped.listener.answer(call.id, code)
        try:
            settle(code)
        finally:
            sock.close()
        return None

    def _settle(self, attempt: _Attempt, permit: Permit, sock: socket.socket, code: int) -> None:
        entry, remote = attempt.entry, format_address(attempt.destination.ip, attempt.port)
        if code == errno.EINPROGRESS:
            permit.started(sock, entry, remote, attempt.rule)
        elif code == 0:
            entry.opened(remote, _local_address(sock), attempt.rule, tcp_s=monotonic() - attempt.started_at)
            permit.connected(sock, entry)
        else:
            permit.release()
            entry.failed("given up" if code == GAVE_UP else outcome(code), address=remote, rule=attempt.rule)

    # -- no room, and time to wait for some ------------------------------------------------------

    def _queue(self, call: Notification, attempt: _Attempt, sock: socket.socket) -> None:
        task = spawn(self._admit_later(call, attempt, sock), name="admit a connect", on_done=self._queued.discard)
        self._queued.add(task)

    async def _admit_later(self, call: Notification, attempt: _Attempt, sock: socket.socket) -> None:
        code: int | None = errno.EIO
        try:
            permit = await self._context.gate.admit()
            # Its process may be gone meanwhile; its descriptor is in our hands.
            code = self._start_if_alive(call, attempt, permit, sock)
        except LimitExceeded as exc:
            attempt.entry.limited(exc)
            code = limit_errno(exc.limit)
        except OSError as exc:
            code = exc.errno or errno.EIO
        except GoneError:
            code = None
            sock.close()
        except asyncio.CancelledError:
            attempt.entry.failed("given up")
            raise
        except Exception:
            logger.exception("a trapped connect failed")
        finally:
            if code is not None:
                sock.close()
                self._trapped.listener.answer(call.id, code)

    def _start_if_alive(self, call: Notification, attempt: _Attempt, permit: Permit, sock: socket.socket) -> int | None:
        if self._trapped.listener.is_valid(call.id):
            return self._start(call, attempt, permit, sock)
        permit.release()
        attempt.entry.failed("given up")
        raise GoneError


@dataclass(slots=True)
class _Attempt:
    """A connect that policy allows."""

    entry: Entry
    destination: Destination
    port: int
    rule: str
    started_at: float = field(default_factory=monotonic)


def _local_address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
