"""The servers that the documentation's examples talk to, to be run as one process.

``python -I tests/docs/network.py DIRECTORY``. DIRECTORY holds ``server.pem`` and ``server.key`` (for the names of
``example``), ``corp.pem`` and ``corp.key`` (of an authority that nobody trusts by default) and ``ca.pem`` (which client
certificates must come from). When every server listens, ``ports.json`` appears: from the name that the examples use to
the port of the loopback. Blocking sockets and threads on purpose: asyncio's TLS cannot half-close.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import ClassVar

HOST = "127.0.0.1"
PAGE = b"Hello from www.example\n"
CUT_OFF_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part of it"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CHARGEN_LINE = bytes(range(0x21, 0x69)) + b"\r\n"  # RFC 864


class Server(ThreadingTCPServer):
    """A thread for each connection, and TLS where there is a context."""

    daemon_threads = True
    request_queue_size = 100
    context: ssl.SSLContext | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that breaks off is its own problem."""


class Handler(BaseRequestHandler):
    """Makes the TLS handshake in the connection's own thread."""

    request: socket.socket

    def handle(self) -> None:
        """Serve one connection."""
        assert isinstance(self.server, Server)
        context = self.server.context
        if context is None:
            self.speak(self.request)
            return
        with context.wrap_socket(self.request, server_side=True) as tls:
            self.speak(tls)
            self.say_goodbye(tls)

    def speak(self, peer: socket.socket) -> None:
        """Speak the protocol to its end."""

    def say_goodbye(self, tls: ssl.SSLSocket) -> None:
        """End TLS in order: our close_notify, then wait for the peer's."""
        with contextlib.suppress(OSError):
            tls.unwrap()


class Echo(Handler):
    """RFC 862."""

    def speak(self, peer: socket.socket) -> None:
        """Send back what comes, as it comes."""
        while data := peer.recv(65536):
            peer.sendall(data)


class Discard(Handler):
    """RFC 863."""

    def speak(self, peer: socket.socket) -> None:
        """Read to the end."""
        while peer.recv(65536):
            pass


class Chargen(Handler):
    """RFC 864."""

    def speak(self, peer: socket.socket) -> None:
        """Send for ever."""
        while True:
            peer.sendall(CHARGEN_LINE * 100)


class Silent(Handler):
    """Accepts, and never says a word, not even in a TLS handshake."""

    def handle(self) -> None:
        """Read to the end."""
        with contextlib.suppress(OSError):
            while self.request.recv(65536):
                pass


class Flaky(Handler):
    """Promises 100 bytes, sends a few, and resets the connection."""

    def speak(self, peer: socket.socket) -> None:
        """Break off."""
        peer.recv(65536)
        peer.sendall(CUT_OFF_PAGE)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.close()


class Cut(Handler):
    """Closes TCP without ending TLS."""

    def speak(self, peer: socket.socket) -> None:
        """Send half of the answer."""
        peer.recv(65536)
        peer.sendall(CUT_OFF_PAGE)

    def say_goodbye(self, tls: ssl.SSLSocket) -> None:
        """Forget the close_notify."""


class WhoAmI(Handler):
    """Tells the client what its certificate says."""

    def speak(self, peer: socket.socket) -> None:
        """Send the first alternative name."""
        assert isinstance(peer, ssl.SSLSocket)
        certificate = peer.getpeercert() or {}
        peer.sendall(f"hello, {certificate['subjectAltName'][0][1]}\n".encode())


class Web(Handler):
    """HTTP/1.1 with one page."""

    def speak(self, peer: socket.socket) -> None:
        """Answer requests."""
        Page(peer, self.client_address, self.server)


class Page(BaseHTTPRequestHandler):
    """Every path is the same page; one request for each connection."""

    protocol_version = "HTTP/1.1"
    server_version = "harbour"
    sys_version = ""
    kinds: ClassVar = {"content-type": "text/plain", "connection": "close", "content-length": str(len(PAGE))}

    def do_GET(self) -> None:
        """Send the page."""
        self.send_response(200)
        for name, value in self.kinds.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Log nothing."""


def tls(directory: Path, name: str, *, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return a server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    return context


def serve(handler: type[BaseRequestHandler], context: ssl.SSLContext | None = None) -> int:
    """Start a server on a free port and return the port."""
    server = Server((HOST, 0), handler)
    server.context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def main(directory: Path) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    trusted, corporate = tls(directory, "server"), tls(directory, "corp")
    refusing = socket.socket()  # bound, and deaf
    refusing.bind((HOST, 0))
    ports = {
        "echo.example:7": serve(Echo),
        "echo.example:443": serve(Echo, trusted),
        "discard.example:9": serve(Discard),
        "chargen.example:19": serve(Chargen),
        "silent.example:80": serve(Silent),
        "flaky.example:80": serve(Flaky),
        "cut.example:443": serve(Cut, trusted),
        "www.example:80": serve(Web),
        "www.example:443": serve(Web, trusted),
        "intranet.example:443": serve(Echo, corporate),
        "members.example:443": serve(WhoAmI, tls(directory, "server", client_ca=directory / "ca.pem")),
        "closed.example:80": refusing.getsockname()[1],
    }
    finished = directory / "ports.json"
    draft = finished.with_suffix(".draft")
    draft.write_text(json.dumps(ports))
    draft.rename(finished)
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
