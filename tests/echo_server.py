"""An echo server to be run as a process, which answers only when it has seen the end of the words.

``python -I tests/echo_server.py PORT TLS_PORT CHAIN PRIVATE_KEY``. Blocking sockets on purpose: asyncio's TLS
drops what is written after the peer's close_notify.
"""

from __future__ import annotations

import contextlib
import signal
import ssl
import sys
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

HOST = "127.0.0.1"


class Echo(BaseRequestHandler):
    """Hears to the end (FIN), then says everything back and ends the connection."""

    def handle(self) -> None:
        """Serve one connection; a client that breaks off is only its own problem."""
        with contextlib.suppress(OSError):
            self.request.sendall(everything(self.request))


class TlsEcho(BaseRequestHandler):
    """The same under TLS, where the end is close_notify."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def handle(self) -> None:
        """Serve one connection."""
        with contextlib.suppress(OSError), self.context.wrap_socket(self.request, server_side=True) as tls:
            tls.sendall(everything(tls))
            tls.unwrap()


class Server(ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 100


def everything(connection: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def main(port: str, tls_port: str, chain: str, private_key: str) -> None:
    """Serve both ports until SIGTERM."""
    TlsEcho.context.load_cert_chain(chain, private_key)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server((HOST, int(port)), Echo) as plain, Server((HOST, int(tls_port)), TlsEcho) as secure:
        threading.Thread(target=secure.serve_forever, daemon=True).start()
        plain.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
