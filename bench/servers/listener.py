"""What both servers do: listen on a free port, say which, die with the bench, serve one after another."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["serve"]


def _die_with_parent() -> None:
    sys.stdin.read()  # end-of-file when the bench ends, however it ends
    os._exit(0)


def serve(handle: Callable[[socket.socket], None]) -> None:
    """Print the port, then call ``handle`` for every connection, for ever; one that breaks off is let go."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                handle(connection)
            except OSError as error:  # ssl.SSLError is one
                print(f"connection ended early: {error}", file=sys.stderr, flush=True)
