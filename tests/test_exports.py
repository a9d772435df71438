"""The public names: a change here is a change of the interface."""

from __future__ import annotations

import subprocess
import sys

import longshore
import longshore.errors

PUBLIC = """
    AbortController AbortSignal AnySocketAddress ArgumentTypeError ArgumentValueError ClosedError ConnectAttempt
    ConnectError ConnectTimeout DirectDialer EgressPolicy LimitExceeded PolicyDenied Promise ReadableStream
    ReadableStreamReader ResetError ResolveError Socket SocketAddress SocketError SocketInfo SocketOptions Timings
    TlsError TlsOptions UsageError WritableStream WritableStreamWriter connect set_default_dialer
"""


MEMBERS = {
    longshore.Socket: """abort address as_anyio_stream as_asyncio_streams close closed opened readable secure_transport
        start_tls upgraded writable""",
    longshore.ReadableStream: "cancel get_reader locked pipe_to read read_into tee",
    longshore.ReadableStreamReader: "cancel closed read read_into release_lock",
    longshore.WritableStream: "abort close get_writer locked write",
    longshore.WritableStreamWriter: "abort close closed desired_size ready release_lock write",
}


def test_public_names_are_these() -> None:
    """K15: no more and no less; each exists."""
    assert sorted(longshore.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(longshore, name) for name in PUBLIC.split())


def test_public_members_are_these() -> None:
    """K15: the names of the streams are the WHATWG's in Python spelling."""
    for kind, names in MEMBERS.items():
        assert sorted(name for name in dir(kind) if not name.startswith("_")) == sorted(names.split())


def test_public_names_are_documented() -> None:
    """K15: each class and function says what it is."""
    for name in PUBLIC.split():
        value = getattr(longshore, name)
        assert getattr(value, "__doc__", None), name


def test_every_error_is_public() -> None:
    """K5: whoever wants to catch one finds it at the door."""
    assert set(longshore.errors.__all__) <= set(longshore.__all__)


def test_importing_needs_nothing_but_the_standard_library() -> None:
    """K1: ``connect()`` is there without any of the extras."""
    code = """
import sys
for name in ("uvloop", "anyio", "httpcore", "httpx", "h11", "trustme", "cryptography"):
    sys.modules[name] = None
import longshore
assert longshore.connect
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
