"""A gopher hole for the tests (RFC 1436): a line comes in, a page goes out."""

import socketserver
import threading

import pytest


class Hole(socketserver.StreamRequestHandler):
    def handle(self):
        selector = self.rfile.readline().strip().decode()
        self.wfile.write(f"You asked for {selector}.\r\nThe gopher has dug it up: ✓\r\n".encode())


@pytest.fixture(scope="session")
def gopher():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hole) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def worker_bindings(gopher):
    """What the worker of the tests finds in its `env`."""
    return {"GOPHER": gopher}
