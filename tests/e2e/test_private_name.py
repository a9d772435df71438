"""An unmodified driver in a real jail: a binding's private name, and a listener of the worker's own."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from longshore.credentials.store import CredentialStore
from tests.certificates import CertificateFiles, server_context
from tests.cli.launched import LIMIT_S, launched
from tests.e2e.test_audit import records, wait_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a driver's connections are seen by means of Linux")

ENTRY = """\
import asyncio
import socket

from longshore import connect
from workers import Response, WorkerEntrypoint


async def serve(reader, writer):
    writer.write(b"from inside")
    await writer.drain()
    writer.close()


def ask(address, said):
    with socket.create_connection(address) as peer:
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(100), b""))


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/binding":
            return Response(await asyncio.to_thread(ask, (self.env.PAY.host, self.env.PAY.port), b"in the clear"))
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(ask, ("127.0.0.1", port), b"")
        for host in "127.0.0.1", "localhost":
            async with connect((host, port)) as peer:
                said += b"|" + b"".join([chunk async for chunk in peer.readable])
        server.close()
        return Response(said)
"""


@contextmanager
def echo_server(context: ssl.SSLContext) -> Iterator[int]:
    """Answer in capitals, over TLS."""

    class Echo(BaseRequestHandler):
        def handle(self) -> None:
            with context.wrap_socket(self.request, server_side=True) as secured:
                while data := secured.recv(100):
                    secured.sendall(data.upper())
                secured.unwrap()

    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_driver_in_a_jail(tmp_path: Path, ca: trustme.CA, server_cert_files: CertificateFiles) -> None:
    CredentialStore(tmp_path / "store").put_ca("corp", ca.cert_pem.bytes())
    log = tmp_path / "audit.jsonl"
    project = tmp_path / "shop"
    project.mkdir()
    (project / "entry.py").write_text(ENTRY)
    with echo_server(server_context(server_cert_files)) as port:
        (project / "longshore.toml").write_text(
            f'name = "shop"\nmain = "entry.py"\n[serve]\naudit_log = "{log}"\n'
            f'[[egress]]\nbinding = "PAY"\naddress = "localhost:{port}"\nca = "corp"\n'
        )
        store = str(tmp_path / "store")
        with (
            launched("serve", "--port", "0", cwd=project, LONGSHORE_STORE=store) as running,
            httpx.Client(timeout=LIMIT_S) as client,
        ):
            url = running.wait_for(r"ready on (\S+)")[1]
            assert client.get(f"{url}/binding").text == "IN THE CLEAR"
            closed = wait_for(log, event="close")
            assert client.get(f"{url}/inside").text == "from inside|from inside|from inside"
            running.process.send_signal(signal.SIGTERM)
            assert running.ended() == 0
    # One connection, one trail: what the driver did to reach it is not another one.
    assert [each["event"] for each in records(log)] == ["open", "close"]
    assert {each["connection_id"] for each in records(log)} == {closed["connection_id"]}
    assert (closed["name"], closed["port"], closed["binding"]) == ("localhost", port, "PAY")
    assert closed["bytes_sent"] > len("in the clear")
