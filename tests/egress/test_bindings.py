"""Bindings from a worker's point of view: certificates are the operator's, and no code names one."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from longshore.credentials.store import CredentialStore
from longshore.errors import ArgumentValueError
from longshore.testing.worker import run_worker
from tests.testing.projects import write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            async with self.env.BILLING.connect() as socket:
                await socket.writable.write(b"GET /who HTTP/1.0\\r\\n\\r\\n")
                answer = b"".join([chunk async for chunk in socket.readable])
            return Response(answer.partition(b"\\r\\n\\r\\n")[2])
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialStore:
    monkeypatch.setenv("LONGSHORE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("LONGSHORE_STORE_KEY", raising=False)
    return CredentialStore(tmp_path / "store")


class _Who(BaseHTTPRequestHandler):
    """Answers with the name in the client's certificate."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("location", "/who")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate = self.connection.getpeercert() or {}
        subject = dict(pair[0] for pair in certificate.get("subject", ()))  # type: ignore[misc]  # of pairs
        body = str(subject.get("commonName", "nobody")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """TLS is made in the connection's own thread, and a client that breaks it off is no event."""

    context: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        assert not isinstance(request, (bytes, tuple))
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:  # type: ignore[arg-type]  # a socket
                super().finish_request(secured, client_address)
                secured.unwrap()
        except OSError:
            pass


@contextmanager
def who_server(ca: trustme.CA, *, demands: bool = True) -> Iterator[int]:
    """Serve HTTPS with a certificate of ``ca``, for clients that have one of it too; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "billing.example").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED if demands else ssl.CERT_NONE
    with _Server(("127.0.0.1", 0), _Who) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def identity(ca: trustme.CA, name: str) -> bytes:
    issued = ca.issue_cert("client.example", common_name=name)
    return b"".join(each.bytes() for each in (*issued.cert_chain_pems, issued.private_key_pem))


def test_the_same_code_runs_with_the_certificates_of_each_environment(tmp_path: Path, store: CredentialStore) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    store.put_ca("test-ca", ours.cert_pem.bytes())
    store.put_client("test-shop", identity(ours, "shop in test"))
    store.put_ca("real-ca", theirs.cert_pem.bytes())
    store.put_client("real-shop", identity(theirs, "shop in production"))
    with who_server(ours) as test_port, who_server(theirs) as real_port:
        settings = f"""
            [[env.dev.egress]]
            binding = "BILLING"
            address = "localhost:{test_port}"
            ca = "test-ca"
            client_certificate = "test-shop"

            [[env.production.egress]]
            binding = "BILLING"
            address = "localhost:{real_port}"
            ca = "real-ca"
            client_certificate = "real-shop"
            sni = "billing.example"
            minimum_version = "TLSv1.3"
        """
        project = write_project(tmp_path / "project", WORKER, settings)
        for word in ("tls", "ssl", "cert", "secure"):
            assert word not in (project / "src" / "entry.py").read_text().lower()
        with run_worker(project, environment="dev") as worker:
            assert worker.fetch("/").text == "shop in test"
        with run_worker(project, environment="production") as worker:
            assert worker.fetch("/").text == "shop in production"


def test_rotation_needs_no_restart(tmp_path: Path, store: CredentialStore) -> None:
    ca = trustme.CA()
    store.put_ca("corp", ca.cert_pem.bytes())
    store.put_client("shop", identity(ca, "first"))
    with who_server(ca) as port:
        settings = f"""
            [[egress]]
            binding = "BILLING"
            address = "localhost:{port}"
            ca = "corp"
            client_certificate = "shop"
        """
        with run_worker(write_project(tmp_path / "project", WORKER, settings)) as worker:
            assert worker.fetch("/").text == "first"
            store.put_client("shop", identity(ca, "second"))
            assert worker.fetch("/").text == "second"


def test_what_is_missing_is_told_without_a_name_of_the_store(
    tmp_path: Path, store: CredentialStore, caplog: pytest.LogCaptureFixture
) -> None:
    settings = """
        [[egress]]
        binding = "BILLING"
        address = "localhost:1"
        client_certificate = "nowhere"
    """
    source = """
        from workers import Response

        async def on_fetch(request, env):
            try:
                await env.BILLING.connect().opened
            except OSError as exc:
                return Response(f"{type(exc).__name__}: {exc}")
    """
    with who_server(trustme.CA()) as port:
        text = settings.replace("localhost:1", f"localhost:{port}")
        with run_worker(write_project(tmp_path / "project", source, text)) as worker:
            said = worker.fetch("/").text
    assert said.startswith("TlsError: TLS of the binding 'BILLING' failed: its credentials cannot be used")
    assert "nowhere" not in said


MTLS = """
    [network]
    allow = ["local"]

    [[mtls_certificates]]
    binding = "CERT"
    certificate_id = "shop"
    ca = "corp"
"""


def test_fetch_and_connect_with_a_client_certificate(tmp_path: Path, store: CredentialStore) -> None:
    ca = trustme.CA()
    store.put_ca("corp", ca.cert_pem.bytes())
    store.put_client("shop", identity(ca, "shop"))
    source = """
        from workers import Response

        async def on_fetch(request, env):
            port = request.url.rpartition("=")[2]
            if "how=fetch" in request.url:
                first = await env.CERT.fetch(f"https://localhost:{port}/who")
                second = await env.CERT.fetch(f"https://localhost:{port}/away")
                return Response(await first.text() + "+" + await second.text())
            mode = "starttls" if "starttls" in request.url else "on"
            socket = env.CERT.connect(f"localhost:{port}", secure_transport=mode)
            if mode == "starttls":
                socket = socket.start_tls()
            await socket.writable.write(b"GET /who HTTP/1.0\\r\\n\\r\\n")
            answer = b"".join([chunk async for chunk in socket.readable])
            await socket.close()
            return Response(answer.partition(b"\\r\\n\\r\\n")[2])
    """
    with who_server(ca) as port, run_worker(write_project(tmp_path / "project", source, MTLS)) as worker:
        assert worker.fetch(f"/?how=fetch&port={port}").text == "shop+shop"
        assert worker.fetch(f"/?how=connect&port={port}").text == "shop"
        assert worker.fetch(f"/?how=starttls&port={port}").text == "shop"


def test_a_configured_ca_holds_for_what_the_worker_secures_itself(tmp_path: Path, store: CredentialStore) -> None:
    ca = trustme.CA()
    store.put_ca("corp", ca.cert_pem.bytes())
    source = """
        from longshore import connect
        from workers import Response, fetch as http

        async def on_fetch(request, env):
            port = request.url.rpartition("=")[2]
            try:
                answer = await http(f"https://localhost:{port}/who")
                await answer.text()
                async with connect(f"localhost:{port}", secure_transport="on") as socket:
                    await socket.opened
                async with connect(f"localhost:{port}", secure_transport="starttls") as plain:
                    async with plain.start_tls() as socket:
                        await socket.opened
            except OSError as exc:
                return Response(type(exc).__name__)
            return Response("all")
    """
    local = '[network]\nallow = ["local"]\n'
    trusting = write_project(tmp_path / "one", source, local + '[tls]\nca = ["corp"]\n')
    doubting = write_project(tmp_path / "other", source, local)
    with who_server(ca, demands=False) as port:
        with run_worker(trusting) as worker:
            assert worker.fetch(f"/?port={port}").text == "all"
        with run_worker(doubting) as worker:
            assert worker.fetch(f"/?port={port}").text == "TlsError"


def test_a_stored_secret_is_one_that_the_configuration_lists(tmp_path: Path, store: CredentialStore) -> None:
    store.put_secret("API_TOKEN", "from the store")
    store.put_secret("OTHER", "not asked for")
    source = """
        from workers import Response

        async def on_fetch(request, env):
            return Response.json({name: env[name] for name in env})
    """
    settings = '[secrets]\nrequired = ["API_TOKEN"]\n'
    project = write_project(tmp_path / "project", source, settings)
    with run_worker(project) as worker:
        assert worker.fetch("/").json() == {"API_TOKEN": "from the store"}
    (project / ".dev.vars").write_text("API_TOKEN=from the file")
    with run_worker(project) as worker:
        assert worker.fetch("/").json() == {"API_TOKEN": "from the file"}


def test_tls_is_not_for_the_worker_to_choose(tmp_path: Path, store: CredentialStore) -> None:
    settings = '[[egress]]\nbinding = "BILLING"\naddress = "billing.example:443"\n'
    source = """
        from workers import Response
        def on_fetch(request, env):
            return Response(f"{env.BILLING.address} {env.BILLING.host} {env.BILLING.port} {env.BILLING!r}")
    """
    with run_worker(write_project(tmp_path / "project", source, settings)) as worker:
        billing = worker.env.BILLING
        wrong: tuple[dict[str, Any], ...] = (
            {"sni": "other.example"},
            {"secure_transport": "off"},
            {"secureTransport": "starttls"},
            {"tls": {}},
        )
        for options in wrong:
            with pytest.raises((ArgumentValueError, TypeError)):
                billing.connect(options)
            with pytest.raises((ArgumentValueError, TypeError)):
                billing.connect(**options)
        assert worker.fetch("/").text == (
            "billing.example:443 billing.binding.longshore.internal 443 <Egress BILLING: billing.example:443>"
        )
