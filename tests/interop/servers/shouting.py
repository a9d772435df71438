"""A gRPC server, plain on one port and with TLS on another: ``/harbour.Echo/Shout`` answers in capitals.

``python -m tests.interop.servers.shouting PORT TLS_PORT CHAIN PRIVATE_KEY``. Messages are bytes: nothing is generated.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

HOST = "127.0.0.1"


def shout(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Return the request in capitals."""
    return request.upper()


def main(port: str, tls_port: str, chain: str, private_key: str) -> None:
    """Serve until the process is ended."""
    server = grpc.server(ThreadPoolExecutor(4))
    methods = {"Shout": grpc.unary_unary_rpc_method_handler(shout)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("harbour.Echo", methods),))
    pair = (Path(private_key).read_bytes(), Path(chain).read_bytes())
    server.add_secure_port(f"{HOST}:{tls_port}", grpc.ssl_server_credentials([pair]))
    server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
