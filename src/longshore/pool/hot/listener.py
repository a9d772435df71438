"""A listening socket of ``HotEventLoop`` (shell); compiled when it can be, see ``longshore.pool.compiled``."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from longshore.pool.hot.selector import HotHandler

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HotListener"]


class HotListener(HotHandler):
    """One listening socket.

    Args:
        sock: non-blocking.
        on_accepted: is given each connection, non-blocking, and its peer's address.
        on_failed: is given this, and why there was none.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_accepted: Callable[[socket.socket, Any], None],
        on_failed: Callable[[HotListener, OSError], None],
    ) -> None:
        self.sock = sock
        self._accept: Any = sock._accept  # type: ignore[attr-defined]  # accept() makes enums of what is known
        self._on_accepted = on_accepted
        self._on_failed = on_failed
        self._family = int(sock.family)
        self._type = int(sock.type)
        self._proto = sock.proto

    def on_events(self, events: int) -> None:
        """Accept one: whether another one waits, epoll says without an exception."""
        try:
            fd, peername = self._accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as exc:
            self._on_failed(self, exc)
            return
        accepted = socket.socket(self._family, self._type, self._proto, fd)
        accepted.setblocking(False)
        self._on_accepted(accepted, peername)
