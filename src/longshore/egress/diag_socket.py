"""``DiagSocket``: asks the kernel about TCP sockets and hears when one is destroyed (shell; Linux)."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Final

from longshore.egress.sock_diag import (
    DESTROY_GROUPS,
    Answer,
    cookie_of_event,
    make_destroy,
    make_query,
    parse_answers,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from longshore.egress.sock_diag import SocketFacts

__all__ = ["DiagSocket"]

_NETLINK_SOCK_DIAG: Final = 4
_SO_RCVBUFFORCE: Final = 33
# Some 5,000 events: as many as end while the loop is busy with something else for a moment.
_EVENT_BUFFER_BYTES: Final = 4 << 20
# The answers to so many questions fit the buffer of a socket as it is.
_AT_ONCE: Final = 32
_DATAGRAM_BYTES: Final = 8192
_SEQUENCES: Final = 1 << 30


class DiagSocket:
    """Two netlink sockets: one hears of ends, one asks.

    Raises:
        OSError: this system has no such thing.
    """

    def __init__(self) -> None:
        if not hasattr(socket, "AF_NETLINK"):
            raise OSError(errno.EAFNOSUPPORT, "there is no netlink here")
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._sequence = 0
        with contextlib.ExitStack() as stack:
            self._asking = stack.enter_context(socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG))
            self._events = stack.enter_context(socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG))
            self._asking.bind((0, 0))
            try:
                self._events.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _EVENT_BUFFER_BYTES)
            except PermissionError:
                self._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BUFFER_BYTES)
            self._events.bind((0, DESTROY_GROUPS))
            stack.pop_all()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._events.fileno()

    def take_events(self, wanted: Container[int], max_events: int) -> Iterator[SocketFacts]:
        """Yield the last facts of destroyed sockets, of all in this network, whose cookies are ``wanted``.

        Args:
            wanted: cookies.
            max_events: look at so many at most; the rest is for the next call.

        Raises:
            OSError: ENOBUFS when events were lost.
        """
        for _ in range(max_events):
            try:
                datagram = self._events.recv(_DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            if cookie_of_event(datagram) in wanted:
                yield from (each.facts for each in parse_answers(datagram) if each.facts is not None)

    def ask(self, socket_ids: Sequence[bytes]) -> list[SocketFacts | int]:
        """Return for each socket its facts, or an errno: ENOENT or ESTALE when it is gone, EAGAIN when unknown."""
        found: list[SocketFacts | int] = []
        for start in range(0, len(socket_ids), _AT_ONCE):
            found += self._exchange([(make_query, each) for each in socket_ids[start : start + _AT_ONCE]])
        return found

    def destroy(self, socket_id: bytes) -> int:
        """Reset a connection; return an errno: EPERM when that is not for us, 0 when it was done."""
        (found,) = self._exchange([(make_destroy, socket_id)])
        return found if isinstance(found, int) else errno.EPROTO

    def close(self) -> None:
        """Close both sockets."""
        self._asking.close()
        self._events.close()

    def _exchange(self, requests: Sequence[tuple[_Maker, bytes]]) -> list[SocketFacts | int]:
        first = self._sequence
        self._sequence = (first + len(requests)) % _SEQUENCES
        answers: dict[int, SocketFacts | int] = {}
        packed = b"".join(make(each, first + index) for index, (make, each) in enumerate(requests))
        with contextlib.suppress(OSError):  # EAGAIN, ENOBUFS: what did not come is unknown
            self._asking.send(packed)
            # The kernel has answered before `send` returns.
            while len(answers) < len(requests):
                for each in parse_answers(self._asking.recv(_DATAGRAM_BYTES)):
                    # Others are late answers to what was given up.
                    if first <= each.sequence < first + len(requests):
                        answers[each.sequence] = _result(each)
        return [answers.get(first + index, errno.EAGAIN) for index in range(len(requests))]


def _result(answer: Answer) -> SocketFacts | int:
    if answer.facts is not None:
        return answer.facts
    return errno.EPROTO if answer.error is None else answer.error


if TYPE_CHECKING:
    from collections.abc import Callable

    _Maker = Callable[[bytes, int], bytes]
