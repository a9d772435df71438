"""Counts what precedes a request: ``python -m bench.servers.flights CERTIFICATE plain|tls|starttls TLSv1_3``.

A *flight* is what the server sends between two receives: each one before the request is a round trip in which
the client had to wait. A *segment* is a TCP segment with data from the client, the request's included, as the
kernel counted them (``TCP_INFO``). The client writes ``request`` as early as its API lets it; the answer is a
line of JSON.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys

from bench.servers.listener import serve
from bench.servers.tls_side import TlsSide, server_context

_DATA_SEGS_IN_OFFSET = 152
"""Of ``tcpi_data_segs_in`` in ``struct tcp_info`` (linux/tcp.h, since Linux 4.6)."""


def _segments(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (count,) = struct.unpack_from("=I", info, _DATA_SEGS_IN_OFFSET)
    return int(count)


def _reply(connection: socket.socket, flights: int) -> bytes:
    return json.dumps({"flights": flights, "segments": _segments(connection)}).encode() + b"\n"


def _expect(got: bytes | memoryview, wanted: bytes) -> None:
    if bytes(got) != wanted:
        raise ConnectionError(f"expected {wanted!r}, got {bytes(got)!r}")


def _serve_plain(connection: socket.socket) -> None:
    _expect(connection.recv(4096), b"request\n")
    connection.sendall(_reply(connection, 0))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def _greet(connection: socket.socket) -> int:
    connection.sendall(b"220 hello\n")
    _expect(connection.recv(4096), b"STARTTLS\n")
    connection.sendall(b"220 go ahead\n")
    return 2


def _serve_tls(connection: socket.socket, context: ssl.SSLContext, greeted: int) -> None:
    side = TlsSide(connection, context)
    side.handshake()
    _expect(side.read(), b"request\n")
    side.write(_reply(connection, greeted + side.flushes))
    side.close()


def main(certificate: str, mode: str, version: str) -> None:
    """Serve clients of one mode and one TLS version."""
    context = server_context(certificate, ssl.TLSVersion[version])

    def handle(connection: socket.socket) -> None:
        if mode == "plain":
            _serve_plain(connection)
        else:
            _serve_tls(connection, context, _greet(connection) if mode == "starttls" else 0)

    serve(handle)


if __name__ == "__main__":
    main(*sys.argv[1:])
