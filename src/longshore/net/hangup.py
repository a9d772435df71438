"""Notices a reset on a socket that nobody reads, without reading and without waking up for data.

A socket with unread bytes is taken out of the event loop's poll set, or a level-triggered loop would spin. In that time
a RST would go unseen (rule K7). One extra ``epoll`` instance for each event loop watches such sockets for ``EPOLLERR``
and ``EPOLLHUP``, for the peer's end (``EPOLLRDHUP``) if asked, and never for data; being pollable itself, it needs one
reader in the loop however many sockets it watches. Where there is no epoll (macOS), a reset behind unread bytes is
noticed at the next read or write.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["HangupWatcher"]

_watchers: WeakKeyDictionary[AbstractEventLoop, HangupWatcher] = WeakKeyDictionary()


class HangupWatcher:
    """Watches descriptors of one event loop; exists only while it watches at least one."""

    __slots__ = ("_callbacks", "_epoll", "_loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._on_events)

    @staticmethod
    def watch(loop: AbstractEventLoop, fd: int, callback: Callable[[], None], *, with_end: bool = False) -> None:
        """Call ``callback`` once when ``fd`` is reset or hung up. One watch for each descriptor.

        Args:
            loop: the running one.
            fd: of a socket.
            callback: may unwatch.
            with_end: also when the peer has sent its end, whatever waits to be read before that.
        """
        if sys.platform != "linux":
            return
        watcher = _watchers.get(loop)
        if watcher is None:
            watcher = _watchers[loop] = HangupWatcher(loop)
        watcher._callbacks[fd] = callback
        # No other event is asked for: EPOLLERR and EPOLLHUP are always reported (epoll_ctl(2)).
        watcher._epoll.register(fd, select.EPOLLET | (select.EPOLLRDHUP if with_end else 0))

    @staticmethod
    def unwatch(loop: AbstractEventLoop, fd: int) -> None:
        """Forget ``fd``; must be called before it is closed."""
        watcher = _watchers.get(loop)
        if watcher is not None and watcher._callbacks.pop(fd, None) is not None:
            watcher._epoll.unregister(fd)
            if not watcher._callbacks:
                watcher._close()

    def _on_events(self) -> None:
        for fd, _ in self._epoll.poll(0):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()

    def _close(self) -> None:
        del _watchers[self._loop]
        if not self._loop.is_closed():
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
