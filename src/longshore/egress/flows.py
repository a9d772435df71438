"""``Flows``: follows TCP connections that live in other processes, without keeping their descriptors (shell).

A connection that a worker got is the worker's: a descriptor of it kept here would hold back its FIN. So the kernel is
asked (``NETLINK_SOCK_DIAG``), which knows every connection by its cookie:

- the end of each one is told by the kernel, with its last numbers (``Flow.end``);
- ``measure()`` asks for the numbers of living ones, and finds out which ones no process holds any more: those take no
  place in a limit, though the kernel may still be busy with their last bytes (``FlowOwner.flow_released``);
- a non-blocking connect is looked at until it is decided (``Flow.watch``).

Where the kernel has no such thing (``is_available``), connections are not followed: no ``close`` in the audit log, and
limits on open sockets and bytes do not hold.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from longshore.egress.diag_socket import DiagSocket
from longshore.egress.holders import reset_held
from longshore.egress.sock_diag import TCP_SYN_SENT, make_socket_id, received_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.egress.audit import Entry
    from longshore.egress.sock_diag import SocketFacts

__all__ = ["Flow", "FlowOwner", "Flows"]

_logger = logging.getLogger(__name__)

_SO_COOKIE: Final = 57
_COOKIE: Final = struct.Struct("=Q")
_EVENTS_AT_ONCE: Final = 64
# Ends within so long a time are taken together: that costs a fraction, and who connects now need not wait for it.
_TOGETHER_S: Final = 0.01
_FIRST_LOOK_S: Final = 0.001
_LAST_LOOK_S: Final = 0.25
# The kernel tells ends from a work queue, which a busy machine holds up.
_LAST_WORDS_S: Final = 1.0
_GONE: Final = frozenset({errno.ENOENT, errno.ESTALE})


class FlowOwner(Protocol):
    """Who counts a flow; called from the loop."""

    def flow_released(self, flow: Flow) -> None:
        """No process holds its descriptor any more. Once, before ``flow_ended``."""

    def flow_ended(self, flow: Flow) -> None:
        """It is over, its numbers are the last ones. Once."""


class Flow:
    """One connection."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "cookie",
        "cut_because",
        "entry",
        "inode",
        "is_released",
        "is_watched",
        "owner",
        "seems_gone",
        "socket_id",
    )

    def __init__(self, cookie: int, entry: Entry, owner: FlowOwner) -> None:
        self.cookie = cookie
        self.entry = entry
        self.owner = owner
        self.socket_id: bytes | None = None
        self.bytes_sent = 0
        self.bytes_received = 0
        self.inode = 0
        """As the kernel told it when it was asked last."""
        self.is_released = False
        self.is_watched = False
        """Its entry gets its outcome here."""
        self.seems_gone = False
        self.cut_because = ""
        """Why this host ended it."""

    def identify(self) -> bytes | None:
        """Return what the kernel is asked with; None as long as the addresses are not known."""
        if self.socket_id is None:
            local, remote = (str(self.entry.known.get(key, "")) for key in ("local_address", "address"))
            if self.entry.is_settled and local and remote:
                self.socket_id = make_socket_id(_split(local), _split(remote), self.cookie)
        return self.socket_id

    def release(self) -> None:
        """Tell the owner, if it was not told."""
        if not self.is_released:
            self.is_released = True
            self.owner.flow_released(self)


class Flows:
    """All connections of one egress process; made inside the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._by_cookie: dict[int, Flow] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}  # of connects that are not decided
        self._hearing: asyncio.TimerHandle | None = None
        self._diag: DiagSocket | None = None
        try:
            self._diag = DiagSocket()
        except OSError as exc:
            _logger.warning("open connections cannot be counted here, so limits on them do not hold: %s", exc)
        else:
            self._hear()

    @property
    def is_available(self) -> bool:
        """False: this system cannot follow connections."""
        return self._diag is not None

    def __len__(self) -> int:
        return len(self._by_cookie)

    # -- beginning -------------------------------------------------------------------------------

    def track(self, sock: socket.socket, entry: Entry, owner: FlowOwner) -> Flow | None:
        """Follow a connected socket from now on, which is not kept open by this; None where that cannot be done."""
        if self._diag is None:
            return None
        (cookie,) = _COOKIE.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE.size))
        if (former := self._by_cookie.get(cookie)) is not None:
            self._end(former)  # a connect that failed, and was not looked at since
        flow = self._by_cookie[cookie] = Flow(cookie, entry, owner)
        return flow

    def watch(self, sock: socket.socket, entry: Entry, owner: FlowOwner, remote_address: str, rule: str) -> Flow | None:
        """Follow a socket whose connect is under way; ``entry`` gets its outcome as soon as that is known."""
        flow = self.track(sock, entry, owner)
        if flow is not None:
            local_address = _joined(sock.getsockname())
            flow.is_watched = True
            flow.socket_id = make_socket_id(_split(local_address), _split(remote_address), flow.cookie)
            entry.known |= {"address": remote_address, "local_address": local_address, "rule": rule}
            self._look_again(flow, _FIRST_LOOK_S)
        return flow

    def _look_again(self, flow: Flow, in_s: float) -> None:
        self._timers[flow.cookie] = self._loop.call_later(in_s, self._look, flow, in_s)

    def _look(self, flow: Flow, waited_s: float) -> None:
        del self._timers[flow.cookie]
        found = next((answer for _, answer in self._ask([flow])), errno.ENOENT)
        if found == errno.EAGAIN or (not isinstance(found, int) and found.state == TCP_SYN_SENT):
            self._look_again(flow, min(waited_s * 2, _LAST_LOOK_S))
        elif isinstance(found, int) or found.counters is None:
            if flow.seems_gone:
                self.drain()
                self._end(flow)  # the descriptor may live on, for another connect
            else:
                # It may have been up, and over at once: then that is about to be told. So it is, too, when it was
                # refused and its descriptor is closed, as most clients do.
                flow.seems_gone = True
                flow.release()
                self._look_again(flow, _LAST_WORDS_S)
        else:
            _decide(flow, found)

    # -- living ----------------------------------------------------------------------------------

    def measure(self, flows: Iterable[Flow]) -> None:
        """Bring the numbers of ``flows`` up to date, and release those that nobody holds any more."""
        for flow, found in self._ask(flows):
            if isinstance(found, int):
                is_gone = found in _GONE  # reset while the worker still holds it, or its end is about to be told
            elif found.counters is None:
                is_gone = True
            else:
                flow.bytes_sent, flow.bytes_received = found.counters.bytes_sent, found.counters.bytes_received
                flow.inode = found.inode
                is_gone = found.inode == 0
            if is_gone:
                flow.release()

    def _ask(self, flows: Iterable[Flow]) -> list[tuple[Flow, SocketFacts | int]]:
        """Return what the kernel knows of those whose addresses are known."""
        asked = [(flow, socket_id) for flow in flows if (socket_id := flow.identify()) is not None]
        if self._diag is None or not asked:
            return []
        answers = self._diag.ask([socket_id for _, socket_id in asked])
        return [(flow, answer) for (flow, _), answer in zip(asked, answers, strict=True)]

    def cut(self, flow: Flow, because: str) -> None:
        """Reset a connection, now or a moment later; its end is audited with the reason."""
        socket_id = flow.identify()
        if self._diag is None or socket_id is None:
            return
        flow.cut_because = because
        if self._diag.destroy(socket_id) == errno.EPERM and flow.inode:
            self._loop.run_in_executor(None, _reset_held, flow.inode, because)

    # -- ending ----------------------------------------------------------------------------------

    def _hear(self) -> None:
        assert self._diag is not None
        self._hearing = None
        self._loop.add_reader(self._diag.fileno(), self._drain_soon)

    def _drain_soon(self) -> None:
        assert self._diag is not None
        self._loop.remove_reader(self._diag.fileno())
        self._hearing = self._loop.call_later(_TOGETHER_S, self._drain_and_hear)

    def _drain_and_hear(self) -> None:
        self._hear()
        self.drain()

    def drain(self) -> None:
        """Take what the kernel has told, as far as that is quick; the loop calls again for the rest."""
        if self._diag is None:
            return
        ended: list[tuple[Flow, SocketFacts]] = []
        try:
            for facts in self._diag.take_events(self._by_cookie, _EVENTS_AT_ONCE):
                ended.append((self._by_cookie[facts.cookie], facts))  # noqa: PERF401 - those before an error count
        except OSError as exc:
            if exc.errno != errno.ENOBUFS:
                raise
            self._loop.call_soon(self._catch_up)
        for (flow, facts), remains in zip(ended, self._remains(ended), strict=True):
            self._end_with(flow, facts, remains)

    def _remains(self, ended: list[tuple[Flow, SocketFacts]]) -> list[SocketFacts | None]:
        """Return what the kernel still has under the addresses of destroyed sockets, of interest for a FIN only."""
        doubtful = []
        for flow, facts in ended:
            if _is_doubtful(facts):
                flow.socket_id = flow.socket_id or facts.socket_id
                doubtful.append(flow)
        known = {flow.cookie: answer for flow, answer in self._ask(doubtful) if not isinstance(answer, int)}
        return [known.get(flow.cookie) for flow, _ in ended]

    def _end_with(self, flow: Flow, facts: SocketFacts, remains: SocketFacts | None) -> None:
        if facts.counters is not None:
            _decide(flow, facts)
            # What was reset to be used again counts from its new beginning.
            flow.bytes_sent = max(facts.counters.bytes_sent, flow.bytes_sent if flow.cut_because else 0)
            flow.bytes_received = max(received_bytes(facts, remains), flow.bytes_received if flow.cut_because else 0)
        self._end(flow)

    def _catch_up(self) -> None:
        """Find out what ended when events were lost."""
        for flow, found in self._ask(self._by_cookie.values()):
            if found in _GONE or (not isinstance(found, int) and found.counters is None):
                self._end(flow)

    def _end(self, flow: Flow) -> None:
        if self._by_cookie.get(flow.cookie) is not flow:
            return
        self.forget(flow)
        if flow.is_watched:
            flow.entry.failed("not connected", address=str(flow.entry.known["address"]))
        flow.entry.closed(bytes_sent=flow.bytes_sent, bytes_received=flow.bytes_received, detail=flow.cut_because)
        flow.release()
        flow.owner.flow_ended(flow)

    def forget(self, flow: Flow) -> None:
        """Stop following a connection; nobody is told."""
        if self._by_cookie.get(flow.cookie) is flow:
            del self._by_cookie[flow.cookie]
        if (timer := self._timers.pop(flow.cookie, None)) is not None:
            timer.cancel()

    def close(self) -> None:
        """Stop; after what is known already, nobody is told anything any more."""
        self.drain()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._by_cookie.clear()
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
        if self._diag is not None:
            self._loop.remove_reader(self._diag.fileno())
            self._diag.close()
            self._diag = None


def _reset_held(inode: int, because: str) -> None:
    try:
        is_reset = reset_held(inode)
    except OSError:
        is_reset = False
    if not is_reset:
        _logger.warning("a connection goes on (%s): nobody was found who holds it", because)


def _decide(flow: Flow, facts: SocketFacts) -> None:
    """Write the outcome of a connect that was under way."""
    known, counters = flow.entry.known, facts.counters
    if flow.entry.is_settled or counters is None or not counters.is_established or flow.socket_id is None:
        return
    addresses = (str(known.get(key, "")) for key in ("address", "local_address", "rule"))
    flow.entry.opened(*addresses, tcp_s=counters.rtt_s)


def _is_doubtful(facts: SocketFacts) -> bool:
    counters = facts.counters
    return (
        counters is not None
        and counters.bytes_received > 0
        and counters.is_fin_acknowledged
        and facts.unread_bytes == 0
    )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _joined(name: tuple[str, int] | tuple[str, int, int, int]) -> str:
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
