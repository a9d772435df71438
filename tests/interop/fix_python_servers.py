"""Servers on Python, one process each: ``web_server``, ``grpc_server``, ``mongo_server``, ``kafka_server``."""

from __future__ import annotations

import importlib.metadata
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server_process import Server, free_port, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.certificates import CertificateFiles

ROOT = Path(__file__).parents[2]


def python(module: str, *arguments: object) -> list[object]:
    """Return the command that runs a module of ``tests.interop.servers``."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", f"tests.interop.servers.{module}", *arguments]


@contextmanager
def with_tls(
    module: str, files: CertificateFiles, is_ready: Callable[[int], bool], package: str = ""
) -> Iterator[Server]:
    """Run a server that has a plain port and one with TLS."""
    port, tls_port = free_port(), free_port()
    with server_directory(module, None) as directory:
        command = python(module, port, tls_port, files.chain, files.private_key)
        with running(command, partial(is_ready, port), user=None, directory=directory):
            version = importlib.metadata.version(package) if package else ""
            yield Server(port, directory, version, tls_port)


@pytest.fixture(scope="session")
def web_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """HTTP and WebSocket."""
    request = b"GET /ahoy HTTP/1.0\r\n\r\n"
    with with_tls("web", server_cert_files, partial(says, expected=b" 200 OK", after=request), "aiohttp") as server:
        yield server


@pytest.fixture(scope="session")
def grpc_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """gRPC: the first frame is an HTTP/2 SETTINGS."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    is_ready = partial(says, expected=b"\x04\x00\x00\x00\x00\x00", after=preface)
    with with_tls("shouting", server_cert_files, is_ready, "grpcio") as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server(server_cert_files: CertificateFiles) -> Iterator[Server]:
    """A stub of MongoDB."""
    ping = b"\x0f\x00\x00\x00\x10ping\x00\x01\x00\x00\x00\x00"
    message = b"\x00\x00\x00\x00\x00" + ping
    after = (16 + len(message)).to_bytes(4, "little") + bytes(8) + (2013).to_bytes(4, "little") + message
    with with_tls("mongo_stub", server_cert_files, partial(says, expected=b"ok", after=after)) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Server]:
    """Librdkafka's mock cluster of one broker."""
    with server_directory("kafka", None) as directory:
        port_file = directory / "port"
        with running(python("kafka_mock", port_file), port_file.exists, user=None, directory=directory):
            version = importlib.metadata.version("confluent-kafka")
            yield Server(int(port_file.read_text(encoding="ascii")), directory, version)
