"""An event loop whose sockets cost no more than their system calls: the door."""

from __future__ import annotations

from longshore.pool.hot.loop import HotEventLoop, new_event_loop

__all__ = ["HotEventLoop", "new_event_loop"]
