"""What the operator decides: the credentials of a place and the rules of the network, with the commands themselves."""

from __future__ import annotations

import shutil
import socketserver
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from longshore.credentials.kinds import Kind
from longshore.credentials.store import CredentialStore
from tests.cli.launched import LIMIT_S, launched
from tests.examples.workers.hosting import EXAMPLES
from tests.sandbox.jails import needs_layers
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class _Billing(socketserver.StreamRequestHandler):
    """Answers a line with the line, and the name in the certificate of whoever asks."""

    def handle(self) -> None:
        context: ssl.SSLContext = self.server.context  # type: ignore[attr-defined]  # ours
        try:
            with context.wrap_socket(self.request, server_side=True) as secured:
                certificate = secured.getpeercert() or {}
                subject = dict(pair[0] for pair in certificate.get("subject", ()))  # type: ignore[misc]  # of pairs
                asked = secured.makefile("rb").readline()
                answer = f"{asked.decode().strip()}\nfor {subject['commonName']} over {secured.version()}\n"
                secured.sendall(answer.encode())
                secured.unwrap()
        except OSError:
            pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    context: ssl.SSLContext


@contextmanager
def billing_server(ca: trustme.CA) -> Iterator[int]:
    """Serve whoever has a certificate of ``ca``; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with _Server((HOST, 0), _Billing) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def identity(ca: trustme.CA, name: str) -> bytes:
    """Return a client certificate with its key."""
    issued = ca.issue_cert("client.example", common_name=name)
    return b"".join(each.bytes() for each in (*issued.cert_chain_pems, issued.private_key_pem))


def copied(name: str, folder: Path, replaced: Mapping[str, str] = {}) -> Path:
    """Copy an example, with other words in its configuration and the very same code."""
    project = shutil.copytree(EXAMPLES / name, folder / name)
    file = project / "longshore.toml"
    text = file.read_text(encoding="utf-8")
    for former, latter in replaced.items():
        assert former in text
        text = text.replace(former, latter)
    file.write_text(text, encoding="utf-8")
    return project


def invoices(url: str) -> list[str]:
    """Ask the worker."""
    response = httpx.get(f"{url}/2026", timeout=LIMIT_S)
    assert response.status_code == 200, response.text
    found: list[str] = response.json()["invoices"]
    return found


def test_the_same_code_shows_each_environments_certificate(tmp_path: Path) -> None:
    """What was promised: other certificates in ``dev`` and in production, and no word of TLS in the worker."""
    test, real = trustme.CA(), trustme.CA()
    store = CredentialStore(tmp_path / "store")
    store.put_ca("office-test", test.cert_pem.bytes())
    store.put_client("shop-test", identity(test, "shop in test"))
    store.put_ca("office", real.cert_pem.bytes())
    store.put_client("shop", identity(real, "shop in production"))
    with billing_server(test) as test_port, billing_server(real) as real_port:
        project = copied(
            "egress_mtls",
            tmp_path,
            {"localhost:8443": f"localhost:{test_port}", "billing.internal:8443": f"localhost:{real_port}"},
        )
        source = (project / "src" / "entry.py").read_text(encoding="utf-8").partition('"""\n\n')[2].lower()
        assert not [word for word in ("tls", "ssl", "cert", "secure", "pem") if word in source]
        variables = {"LONGSHORE_STORE": str(store.folder), "LONGSHORE_STORE_KEY": ""}
        with launched("dev", "--port", "0", cwd=project, **variables) as running:
            url = running.wait_for(r"Ready on (\S+)")[1]
            assert invoices(url) == ["INVOICES /2026", "for shop in test over TLSv1.3"]
        with launched("serve", "--env", "production", "--port", "0", cwd=project, **variables) as running:
            url = running.wait_for(r"ready on (\S+)")[1]
            assert invoices(url) == ["INVOICES /2026", "for shop in production over TLSv1.3"]
            store.put_client("shop", identity(real, "shop, renewed"))
            assert invoices(url) == ["INVOICES /2026", "for shop, renewed over TLSv1.3"]
            store.remove(Kind.CLIENT, "shop")
            assert httpx.get(url, timeout=LIMIT_S).status_code == 500
            running.wait_for(r"localhost:\d+: credentials cannot be used: there is no client certificate 'shop'")


@pytest.mark.timeout(120)
def test_rules_bind_a_client_that_knows_of_none(tmp_path: Path) -> None:
    needs_layers("seccomp", "network")
    project = copied("network_rules", tmp_path)
    with (
        socketserver.TCPServer((HOST, 0), socketserver.BaseRequestHandler) as server,
        launched("serve", "--port", "0", cwd=project) as running,
        httpx.Client(base_url=running.wait_for(r"ready on (\S+)")[1], timeout=LIMIT_S) as client,
    ):
        port = server.server_address[1]

        def state(address: str) -> tuple[int, str]:
            response = client.get("/", params={"address": address})
            return response.status_code, response.json().get("state", "")

        assert state("nowhere") == (400, "")
        assert state(f"{HOST}:{port}") == (200, "open")
        assert state(f"status.internal:{port}") == (200, "open")
        assert state(f"{HOST}:{free_port()}") == (200, "closed")
        assert state(f"10.1.2.3:{port}") == (403, "not allowed")
        running.wait_for(r"10\.1\.2\.3:\d+: blocked by policy: not allowed by .* \(10\.1\.2\.3 is private")
        running.wait_for(rf'write in \[network\] of longshore\.toml: .*"127\.0\.0\.0/8", "10\.1\.2\.3:{port}"\]')
        assert state(f"127.0.0.9:{port}") == (403, "not allowed")
        running.wait_for(r"blocked by policy: '127\.0\.0\.9' of deny")
        assert state("tracker.ads.example:443") == (200, "closed")  # it does not even get an address
        running.wait_for(r"tracker\.ads\.example: blocked by policy: '\*\.ads\.example' of deny")
