"""Says where the user's module is while it takes long to import.

A module that waits for a server at import blocks the loop, and is killed when the host's time is up. A thread looks
at the main thread before that and sends what it sees.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Final

from longshore.proto.ipc.messages import StillBooting
from longshore.runtime.worker.report import users_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.runtime.worker.reporting import ChannelReporter

__all__ = ["watching_boot"]

SHARES: Final = (0.3, 0.6, 0.9)
"""When it looks, of the host's patience. That began before this process did, so the last look may come too late."""
MAX_SHOWN: Final = 12
"""Frames that are sent: the innermost ones tell."""


@contextlib.contextmanager
def watching_boot(reporter: ChannelReporter, timeout_s: float, project_dir: str, module_root: str) -> Iterator[None]:
    """Look at this thread for as long as the block lasts.

    Args:
        reporter: is told where the thread is.
        timeout_s: the host's patience; 0: it is endless, and nobody looks.
        project_dir: files below are the user's.
        module_root: likewise.
    """
    if not timeout_s:
        yield
        return
    is_over = threading.Event()
    watched = threading.get_ident()

    def watch() -> None:
        for former, share in zip((0.0, *SHARES), SHARES, strict=False):
            if is_over.wait((share - former) * timeout_s):
                return
            frame = sys._current_frames().get(watched)
            if frame is not None and (frames := users_stack(frame, project_dir, module_root)):
                reporter.send_at_once(StillBooting(frames=frames[-MAX_SHOWN:]))

    threading.Thread(target=watch, name="longshore boot watch", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
