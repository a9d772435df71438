"""``ClientConnection``: how an application learns that its client has left, without a task for each request.

It stands in ``scope["longshore.connection"]`` of every HTTP request and is the same object for all requests of one
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCOPE_KEY", "ClientConnection"]

SCOPE_KEY = "longshore.connection"


class ClientConnection:
    """The connection that a request came over."""

    __slots__ = ("is_lost", "on_lost")

    def __init__(self) -> None:
        # True once the connection is gone.
        self.is_lost = False
        # Called once, from the event loop, at that moment; whoever sets it takes it away when the request is over.
        self.on_lost: Callable[[], None] | None = None

    def lose(self) -> None:
        """Note that the connection is gone and tell."""
        if not self.is_lost:
            self.is_lost = True
            if self.on_lost is not None:
                self.on_lost()
