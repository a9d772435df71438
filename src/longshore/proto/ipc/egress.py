"""What is said to and by the egress process, which makes every outbound connection of workers (PURE).

It has two kinds of channels: one with the host (``EgressHostMessage`` down, ``EgressEvent`` up), and one with each
worker (``EgressAsk`` up from the worker, ``EgressReply`` down to it).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from longshore.proto.ipc.base import IpcMessage
from longshore.proto.ipc.failure import Failure  # noqa: TC001 - msgspec reads the annotation

__all__ = [
    "CREDENTIALS_FAILED",
    "AddWorker",
    "AuditRecord",
    "Audited",
    "CancelDial",
    "Dial",
    "DialFailed",
    "Dialed",
    "DoorsFailed",
    "EgressAsk",
    "EgressEvent",
    "EgressHostMessage",
    "EgressMessage",
    "EgressReady",
    "EgressReply",
    "EndTunnel",
    "HandshakeAsk",
    "Jailed",
    "RemoveWorker",
    "StartEgress",
    "StartTls",
    "TunnelEnded",
]


CREDENTIALS_FAILED: Final = "credentials cannot be used"
"""How the outcome of a dial begins whose cause the worker must not know."""

# --- commands: host to egress process -------------------------------------------------------------------------------


class StartEgress(IpcMessage, frozen=True, kw_only=True):
    """The first message."""

    credentials_dir: str
    """Folder of the credential store."""
    audit_path: str | None = None
    """File to which every ``AuditRecord`` is appended as a line of JSON; None: none."""


class AddWorker(IpcMessage, frozen=True, kw_only=True):
    """A worker begins. Our end of its egress channel comes with it (one descriptor).

    Sent before the worker is forked. The channel's end is the worker's end.
    """

    worker_id: int
    config: msgspec.Raw
    """A ``WorkerConfig`` as JSON, without ``secrets`` and ``vars``."""
    own_addresses: tuple[str, ...] = ()
    """``ip:port`` at which the host listens for this worker: connecting there is a loop."""


class RemoveWorker(IpcMessage, frozen=True, kw_only=True):
    """A worker process is gone; what it still has open is given up."""

    worker_id: int


# --- events: egress process to host ---------------------------------------------------------------------------------


class EgressReady(IpcMessage, frozen=True, kw_only=True):
    """Everything is imported."""

    pid: int


class DoorsFailed(IpcMessage, frozen=True, kw_only=True):
    """A worker in a jail cannot be served: its first trapped call would fail, or wait for ever."""

    worker_id: int
    error: str


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact about an outbound connection: what the audit log holds, a line each."""

    time: str = ""
    """RFC 3339, UTC, with milliseconds."""
    event: str
    """``"open"`` (the connection is up), ``"fail"``, ``"deny"`` (policy), ``"limit"``, ``"close"``, or ``"refuse"`` (an
    operation that no worker may do, like listening on a socket of the host; ``detail`` names it)."""
    worker: str
    """The worker's name."""
    worker_id: int
    connection_id: int = 0
    """The same in ``open`` and ``close``; counted for each worker."""
    request_id: str = ""
    """Empty when no request asked, or it is not known which."""
    via: str = ""
    """``"connect()"``, ``"fetch()"``, ``"binding"``, ``"pool"`` (a server connection of a ``[[hyperdrive]]`` binding)
    or ``"socket"`` (a client's own call of connect(2)); empty for ``refuse``."""
    name: str = ""
    """As the worker wrote it, without port: a host name or an IP literal."""
    port: int = 0
    address: str = ""
    """``ip:port`` that was connected or judged."""
    local_address: str = ""
    binding: str = ""
    rule: str = ""
    """The rule that allowed or denied."""
    outcome: str = ""
    """In words: ``"connected"``, ``"refused"``, ``"timed out"``, ``"blocked by policy"`` …"""
    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    duration_s: float | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    detail: str = ""


class Audited(IpcMessage, frozen=True, kw_only=True):
    """Something was written to the audit log (or would be, if there were one)."""

    record: AuditRecord


# --- asks: worker to egress process ---------------------------------------------------------------------------------


class Jailed(IpcMessage, frozen=True, kw_only=True):
    """The first message of a worker that has a network namespace of its own.

    Its descriptors, in this order: the seccomp listener, the UDP and the TCP socket of the name server (bound inside
    to port 53), and our end of the channel to the socket helper. Without the seccomp layer there are none.
    """

    pid: int
    """Of the worker, as it sees itself."""
    is_tcp_locked: bool = False
    """The layer ``landlock-tcp`` is in force."""


class HandshakeAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS handshake that the egress process makes with credentials of a binding."""

    server_name: str
    alpn: tuple[str, ...] = ()
    timeout_s: float | None = None


class Dial(IpcMessage, frozen=True, kw_only=True):
    """Open a connection; ``Dialed`` or ``DialFailed`` follows."""

    dial_id: int
    address: str
    """``SocketAddress`` as text."""
    timeout_s: float | None = None
    no_delay: bool = True
    keep_alive_s: float | None = None
    local_address: tuple[str, int] | None = None
    request_id: str = ""
    via: str = "connect()"
    binding: str | None = None
    """Of ``[[egress]]``, ``[[mtls_certificates]]`` or ``[[hyperdrive]]``: whose credentials and address to use."""
    tls: HandshakeAsk | None = None
    """Only with a binding: otherwise the worker makes its own handshake on the plain connection."""


class CancelDial(IpcMessage, frozen=True, kw_only=True):
    """Nobody waits for this any more. If the answer is on its way, the worker closes what it brings."""

    dial_id: int


class StartTls(IpcMessage, frozen=True, kw_only=True):
    """Make a handshake on an open plain connection (one descriptor).

    ``Dialed`` with a tunnel, or ``DialFailed``, follows.
    """

    dial_id: int
    binding: str
    remote_address: str
    tls: HandshakeAsk
    request_id: str = ""


class EndTunnel(IpcMessage, frozen=True, kw_only=True):
    """What the worker does with its end of a tunnel; end-of-file on the descriptor alone says nothing (rule K5).

    A worker that dies in the middle of what it sends must not look to the peer like one that has finished.
    """

    dial_id: int
    step: Literal["write", "close", "abort"]
    """``"write"``: its direction ends in order, once everything in the descriptor is sent. ``"close"``: it has closed
    its end; what is in the descriptor is still sent. ``"abort"``: reset the connection."""


# --- replies: egress process to worker ------------------------------------------------------------------------------


class Dialed(IpcMessage, frozen=True, kw_only=True):
    """The connection (one descriptor): the TCP socket itself, or the plain end of a tunnel."""

    dial_id: int
    remote_address: str
    local_address: str | None = None
    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    is_near: bool = False
    """Connected at once: the peer is on this machine, or next to it."""
    is_local: bool = False
    """The other end is a process of the host (``AF_UNIX``): the pool of a ``[[hyperdrive]]`` binding."""
    is_tunnel: bool = False
    """True: TLS ends in the egress process. How the connection ended is told by ``TunnelEnded``; end-of-file on the
    descriptor alone says nothing (rule K5)."""
    alpn: str | None = None
    tls_version: str | None = None
    cipher: str | None = None
    peer_certificate: bytes | None = None


class DialFailed(IpcMessage, frozen=True, kw_only=True):
    """There is no connection."""

    dial_id: int
    failure: Failure


class TunnelEnded(IpcMessage, frozen=True, kw_only=True):
    """The peer's direction of a tunnel ended: everything it sent is in the descriptor."""

    dial_id: int
    failure: Failure | None = None
    """None: an orderly end (close_notify)."""


EgressHostMessage: TypeAlias = StartEgress | AddWorker | RemoveWorker
EgressEvent: TypeAlias = EgressReady | Audited | DoorsFailed
EgressAsk: TypeAlias = Jailed | Dial | CancelDial | StartTls | EndTunnel
EgressReply: TypeAlias = Dialed | DialFailed | TunnelEnded
EgressMessage: TypeAlias = EgressHostMessage | EgressEvent | EgressAsk | EgressReply
