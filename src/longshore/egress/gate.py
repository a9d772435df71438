"""``Gate``: lets the dials of one worker through while its limits allow, in the order in which they came (shell).

Theory of operation. ``Usage`` counts; a dial that is short of something that time or a closing socket can cure waits in
one queue. The queue is served whenever a place became free, a token is due, or (while somebody waits for a place) after
the kernel was asked which connections nobody holds any more. It is served from its front; somebody who is short of what
the whole worker is short of stops it, somebody whose own request is short is passed by.

Invariants: every permit is given back exactly once, by ``release()`` or by the end of its connection; a waiter that is
cancelled when its permit is already there gives it back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from longshore.egress.limits import Usage
from longshore.errors import LimitExceeded

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from longshore.config.model import EgressLimits
    from longshore.egress.audit import Entry
    from longshore.egress.flows import Flow, Flows
    from longshore.egress.limits import Shortage

__all__ = ["Gate", "Permit"]

_LOOK_EVERY_S: Final = 0.05
# Bytes are counted that often where there is a limit on them: so much later a connection may be cut.
_COUNT_EVERY_S: Final = 0.25
# Asking the kernel takes at most this part of the loop's time, however often a worker knocks; so much may be saved up.
_SHARE: Final = 0.1
_SAVED_S: Final = 0.01


class Gate:
    """The limits of one worker; made inside the running loop.

    Args:
        limits: the configuration's.
        flows: who follows the connections.
        clock: seconds; the loop's when None.
    """

    def __init__(self, limits: EgressLimits, flows: Flows, clock: Callable[[], float] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time if clock is None else clock
        self._usage = Usage(limits)
        self._flows = flows
        self._tracked: set[Permit] = set()
        self._waiters: deque[_Waiter] = deque()
        self._serve_timer: asyncio.TimerHandle | None = None
        self._count_timer: asyncio.TimerHandle | None = None
        # Time that may be spent on asking the kernel, and when it was last counted.
        self._saved_s = _SAVED_S
        self._saved_at = self._loop.time()
        self._is_closed = False

    @property
    def open_sockets(self) -> int:
        """How many connections are open or being opened."""
        return self._usage.open_sockets

    def try_admit(self, request_id: str = "") -> Permit:
        """Return a permit at once: for who cannot wait, like a non-blocking connect(2).

        Args:
            request_id: of the request that asks, whose limits hold too; empty when it is not known.

        Raises:
            LimitExceeded: there is none at the moment.
        """
        if self._waiters:
            self._serve()
        shortage = self._shortage(request_id)
        if shortage is not None:
            raise _error(shortage, waited_s=0.0)
        return self._grant(request_id)

    async def admit(self, request_id: str = "") -> Permit:
        """Return a permit, after waiting for it at most ``queue_timeout_s``.

        Args:
            request_id: of the request that asks, whose limits hold too; empty when it is not known.

        Raises:
            LimitExceeded: there is none, or none in time.

        Cancellation: safe; the place in the queue, or the permit, is given back.
        """
        if self._waiters:
            self._serve()
        shortage = self._shortage(request_id)
        if shortage is None:
            return self._grant(request_id)
        timeout_s = self._usage.limits.queue_timeout_s
        if not shortage.can_wait or timeout_s <= 0 or self._is_closed:
            raise _error(shortage, waited_s=0.0)
        waiter = _Waiter(request_id, shortage, self._loop)
        timer = self._loop.call_later(timeout_s, waiter.give_up, timeout_s)
        self._waiters.append(waiter)
        self._set_serve_timer()
        return await self._granted(waiter, timer)

    async def _granted(self, waiter: _Waiter, timer: asyncio.TimerHandle) -> Permit:
        try:
            return await waiter.permit
        except asyncio.CancelledError:
            if waiter.permit.done() and not waiter.permit.cancelled() and waiter.permit.exception() is None:
                waiter.permit.result().release()
            raise
        finally:
            timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def close(self) -> None:
        """The worker is gone: whoever waits fails, what is open is not counted any more.

        The flows themselves are followed to their end, so that the audit log has it.
        """
        self._is_closed = True
        self._stop_serve_timer()
        if self._count_timer is not None:
            self._count_timer.cancel()
            self._count_timer = None
        while self._waiters:
            self._waiters.popleft().give_up(0.0)

    # -- giving ----------------------------------------------------------------------------------

    def _grant(self, request_id: str) -> Permit:
        self._usage.admit(request_id, self._clock())
        return Permit(self, request_id)

    def _shortage(self, request_id: str) -> Shortage | None:
        """Return what is missing, after making sure that it really is."""
        shortage = self._usage.shortage(request_id, self._clock())
        if shortage is not None and shortage.is_of_sockets:
            self._flows.drain()
            self._look()
            shortage = self._usage.shortage(request_id, self._clock())
        return shortage

    def _look(self) -> None:
        """Ask the kernel which connections nobody holds any more."""
        now = self._loop.time()
        self._saved_s = min(self._saved_s + (now - self._saved_at) * _SHARE, _SAVED_S)
        self._saved_at = now
        if self._saved_s > 0:
            # What others' processes take of the processor in between is not spent here.
            started = time.thread_time()
            self._measure()
            self._saved_s -= time.thread_time() - started

    def _measure(self) -> None:
        self._flows.measure([permit.flow for permit in self._tracked if permit.flow is not None])
        for permit in self._tracked:
            permit.count()

    def _serve(self) -> None:
        """Give permits to those who wait, as far as there are any."""
        self._stop_serve_timer()
        if any(waiter.shortage.is_of_sockets for waiter in self._waiters):
            self._look()
        for waiter in list(self._waiters):
            if waiter.permit.done():
                continue  # it is about to leave the queue
            shortage = self._usage.shortage(waiter.request_id, self._clock())
            if shortage is None:
                waiter.permit.set_result(self._grant(waiter.request_id))
                continue
            waiter.shortage = shortage
            if not shortage.can_wait:
                waiter.permit.set_exception(_error(shortage, waited_s=0.0))
            elif not shortage.is_of_request:
                break
        self._set_serve_timer()

    def _set_serve_timer(self) -> None:
        waiting = [waiter for waiter in self._waiters if not waiter.permit.done()]
        if self._serve_timer is not None or not waiting or self._is_closed:
            return
        now = self._clock()
        due = [waiter.shortage.retry_at for waiter in waiting if waiter.shortage.retry_at is not None]
        in_s = max(min(due) - now, 0.0) if due else _LOOK_EVERY_S
        self._serve_timer = self._loop.call_later(min(in_s, _LOOK_EVERY_S), self._serve_by_timer)

    def _stop_serve_timer(self) -> None:
        if self._serve_timer is not None:
            self._serve_timer.cancel()
            self._serve_timer = None

    def _serve_by_timer(self) -> None:
        self._serve_timer = None
        self._serve()

    # -- counting; called by permits --------------------------------------------------------------

    def followed(self, permit: Permit) -> None:
        """``permit`` has a flow from now on."""
        self._tracked.add(permit)
        if self._usage.has_byte_limit and self._count_timer is None and not self._is_closed:
            self._count_timer = self._loop.call_later(_COUNT_EVERY_S, self._count_all)

    def given_back(self, request_id: str) -> None:
        """A place became free."""
        self._usage.release(request_id)
        if self._waiters and not self._is_closed:
            self._stop_serve_timer()
            self._serve_timer = self._loop.call_later(0, self._serve_by_timer)

    def ended(self, permit: Permit) -> None:
        """The flow of ``permit`` is over."""
        self._tracked.discard(permit)

    def count(self, request_id: str, count: int) -> None:
        """So many bytes went through."""
        self._usage.count_bytes(request_id, count)

    def _count_all(self) -> None:
        """Count the bytes of everything that is open, and cut what is too much."""
        self._count_timer = None
        if not self._tracked:
            return
        started = self._loop.time()
        self._measure()
        took_s = self._loop.time() - started
        for permit in list(self._tracked):
            shortage = self._usage.bytes_shortage(permit.request_id)
            if shortage is not None and permit.flow is not None and not permit.flow.cut_because:
                self._flows.cut(permit.flow, f"limit {shortage.limit} of {shortage.value:g} reached")
        self._count_timer = self._loop.call_later(max(_COUNT_EVERY_S, took_s / _SHARE), self._count_all)


class Permit:
    """One admitted dial; exactly one of ``connected``, ``started`` and ``release`` is to be called, once."""

    __slots__ = ("_counted", "_gate", "_is_given_back", "flow", "request_id")

    def __init__(self, gate: Gate, request_id: str) -> None:
        self._gate = gate
        self._is_given_back = False
        self._counted = 0
        self.request_id = request_id
        self.flow: Flow | None = None

    def connected(self, sock: socket.socket, entry: Entry) -> None:
        """Follow the connection from now on to its end, which ``entry`` is told.

        Args:
            sock: connected. It is not kept, and not kept open; whoever has a descriptor of it holds the place.
            entry: ``opened()`` follows, or came before, with real addresses.
        """
        self._follow(self._gate._flows.track(sock, entry, self))

    def started(self, sock: socket.socket, entry: Entry, remote_address: str, rule: str) -> None:
        """Follow a connect that is under way (EINPROGRESS); ``entry`` is told its outcome as soon as that is known.

        Args:
            sock: connect(2) was called on it. It is not kept, and not kept open.
            entry: nobody else needs to call it any more.
            remote_address: ``ip:port`` that is being connected.
            rule: what allowed it.
        """
        self._follow(self._gate._flows.watch(sock, entry, self, remote_address, rule))

    def _follow(self, flow: Flow | None) -> None:
        if flow is None:
            self.release()  # this system cannot say when it ends
            return
        self.flow = flow
        self._gate.followed(self)

    def release(self) -> None:
        """The dial failed. Idempotent."""
        if not self._is_given_back:
            self._is_given_back = True
            self._gate.given_back(self.request_id)

    def count(self) -> None:
        """Count the bytes that are new."""
        if self.flow is not None:
            total = self.flow.bytes_sent + self.flow.bytes_received
            if total > self._counted:
                self._gate.count(self.request_id, total - self._counted)
                self._counted = total

    def flow_released(self, flow: Flow) -> None:
        """See ``FlowOwner``."""
        del flow
        self.release()

    def flow_ended(self, flow: Flow) -> None:
        """See ``FlowOwner``."""
        del flow
        self.count()
        self._gate.ended(self)


class _Waiter:
    """Somebody in the queue."""

    __slots__ = ("permit", "request_id", "shortage")

    def __init__(self, request_id: str, shortage: Shortage, loop: asyncio.AbstractEventLoop) -> None:
        self.request_id = request_id
        self.shortage = shortage
        self.permit: asyncio.Future[Permit] = loop.create_future()

    def give_up(self, waited_s: float) -> None:
        """Tell who waits that the time is up."""
        if not self.permit.done():
            self.permit.set_exception(_error(self.shortage, waited_s=waited_s))


def _error(shortage: Shortage, *, waited_s: float) -> LimitExceeded:
    what = f"the worker's limit {shortage.limit} = {shortage.value:g} is reached"
    waited = f", also after {waited_s:g} s" if waited_s else ""
    return LimitExceeded(f"{what}{waited}; see [network.limits]", limit=shortage.limit, value=shortage.value)
