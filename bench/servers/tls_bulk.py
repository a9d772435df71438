"""``python -m bench.servers.tls_bulk CERTIFICATE source|sink BYTES``: ``bulk_server.c`` over TLS 1.3."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

from bench.servers.listener import serve
from bench.servers.tls_side import TlsSide, server_context

if TYPE_CHECKING:
    import socket

_CHUNK = memoryview(b"x" * (256 * 1024))


def _send(side: TlsSide, count: int) -> None:
    side.read()  # the "go" byte
    while count > 0:
        side.write(_CHUNK[:count])
        count -= len(_CHUNK)


def _swallow(side: TlsSide, count: int) -> None:
    while count > 0:
        count -= len(side.read())
    side.write(b"!")


def main(certificate: str, direction: str, count: int) -> None:
    """Serve transfers of ``count`` bytes."""
    context = server_context(certificate, ssl.TLSVersion.TLSv1_3)
    work = _send if direction == "source" else _swallow

    def handle(connection: socket.socket) -> None:
        side = TlsSide(connection, context)
        side.handshake()
        work(side, count)
        side.close()

    serve(handle)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
