"""What two processes of which one took the other's place have between them: cancel requests both ways (shell)."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from typing import TYPE_CHECKING

from longshore.proto.ipc.takeover import CancelClient, CancelDone

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from longshore.net.channel import Channel
    from longshore.proto.ipc.messages import Message

    CancelLocally: TypeAlias = "Callable[[int, bytes, Callable[[], None], CancelLink], None]"

__all__ = ["CancelLink", "is_same_account"]

_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


def is_same_account(sock: socket.socket) -> bool:
    """Say whether the process at the other end runs as our account, or as root (``SO_PEERCRED``)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True  # the socket's file is ours alone (0600)
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return uid in (_ROOT, os.geteuid())


class CancelLink:
    """Cancel requests over a channel.

    Args:
        channel: to the other process.
        cancel: cancels a client of this process, or of one that it knows; its last argument is this link.
    """

    def __init__(self, channel: Channel, cancel: CancelLocally) -> None:
        self._channel = channel
        self._cancel = cancel
        self._ids = itertools.count(1)
        self._waiting: dict[int, Callable[[], None]] = {}
        self._is_closed = False

    def forward(self, pid: int, secret: bytes, on_done: Callable[[], None]) -> None:
        """Ask the other process; ``on_done`` is called in any case."""
        if self._is_closed:
            on_done()
            return
        request_id = next(self._ids)
        self._waiting[request_id] = on_done
        self._channel.send_now(CancelClient(request_id=request_id, cancel_pid=pid, cancel_secret=secret.hex()))

    def receive(self, message: Message) -> bool:
        """Take a message; False when it is none of a link's."""
        match message:
            case CancelClient(request_id=request_id, cancel_pid=pid, cancel_secret=secret):
                self._cancel(pid, bytes.fromhex(secret), lambda: self._answer(request_id), self)
            case CancelDone(request_id=request_id):
                self._waiting.pop(request_id, _nothing)()
            case _:
                return False
        return True

    def close(self) -> None:
        """Answer what nobody will answer any more."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, {}
        for on_done in waiting.values():
            on_done()

    def _answer(self, request_id: int) -> None:
        if not self._is_closed:
            self._channel.send_now(CancelDone(request_id=request_id))


def _nothing() -> None:
    pass
