"""What tests of the audit log, the gate and the flows have in common."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from longshore.egress.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.egress.audit import Entry
    from longshore.proto.ipc.egress import AuditRecord

STAMP = "2026-01-02T03:04:05.678Z"


class Book:
    """An audit whose records are kept."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.now = 100.0
        self.audit = Audit("shop", 7, self.records.append, clock=lambda: self.now, stamp=lambda: STAMP)

    def begin(self, name: str = "127.0.0.1", request_id: str = "") -> Entry:
        """Return a new entry."""
        return self.audit.begin(name=name, port=80, via="connect()", request_id=request_id)

    @property
    def events(self) -> list[str]:
        """The kinds of all records."""
        return [record.event for record in self.records]


@contextmanager
def tcp_pair(host: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection, ours first."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0), family=family))
        ours = stack.enter_context(socket.socket(family))
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()
        stack.enter_context(theirs)
        ours.settimeout(5)
        theirs.settimeout(5)
        yield ours, theirs


def address(name: tuple[str, int]) -> str:
    """Return a socket's name as text."""
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def opened(entry: Entry, sock: socket.socket) -> None:
    """Tell an entry that ``sock`` is its connection."""
    entry.opened(address(sock.getpeername()), address(sock.getsockname()), "public")


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.001)
