"""What host and worker say to each other (PURE): commands go down, events come up (rule N2)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from longshore.proto.ipc.base import IpcMessage
from longshore.proto.ipc.egress import EgressMessage
from longshore.proto.ipc.jail import JailPlan  # noqa: TC001 - msgspec reads the annotation
from longshore.proto.ipc.pool import PoolMessage
from longshore.proto.ipc.takeover import TakeOverMessage

__all__ = [
    "Adopt",
    "BootFailed",
    "ConnectionClosed",
    "ConnectionOpened",
    "Drain",
    "Drained",
    "ErrorReport",
    "Exited",
    "FireScheduled",
    "Fork",
    "ForkFailed",
    "Forked",
    "HandOver",
    "HandlerFailed",
    "Kill",
    "LogLine",
    "Message",
    "Ready",
    "RequestFinished",
    "ScheduledFinished",
    "SourceFrame",
    "Start",
    "StillBooting",
    "WorkerMessage",
    "ZygoteMessage",
    "ZygoteReady",
    "decode_message",
    "encode_message",
]


class SourceFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One level of a traceback."""

    file: str
    line: int
    function: str
    first_line: int = 0
    """Number of ``source[0]``."""
    source: tuple[str, ...] = ()
    """Lines around ``line``."""
    column: int = 0
    """Where in ``line`` the error is, counted from 1 in characters; 0 when that is not known."""
    end_column: int = 0
    """Behind its last character; 0 when that is not known or in another line."""
    is_users: bool = False
    """True for files of the project, False for libraries and our own."""


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """An exception, readable where its process is not."""

    type: str
    """Qualified name, ``builtins.`` left out."""
    message: str
    text: str
    """The traceback as Python prints it, without frames of the runtime."""
    frames: tuple[SourceFrame, ...] = ()
    """Outermost first, as Python prints them; frames of the runtime itself are left out."""
    notes: tuple[str, ...] = ()
    cause: ErrorReport | None = None


# --- commands: host to worker ---------------------------------------------------------------------------------------


class Start(IpcMessage, frozen=True, kw_only=True):
    """The first message: be this worker. The listening sockets come with it."""

    config: msgspec.Raw
    """A ``WorkerConfig`` as JSON."""
    worker_id: int
    """Counts all processes of one host, from 1."""
    is_dev: bool = False
    log_requests: bool = True
    log_connections: bool = False
    urls: tuple[str, ...] = ()
    has_traps: bool = False
    """True: the egress process sees the connections of drivers too, and the worker need not watch for them."""
    extra_roots: str = ""
    """PEM certificates that ``connect()`` and ``fetch()`` trust besides the system's (``[tls] ca``)."""
    environment: dict[str, str] | None = None
    """The whole environment of a worker that has no jail; None: the one it was forked with."""
    boot_timeout_s: float = 0.0
    """When the host loses its patience, so that the worker can say in time what it waits for; 0: it never does."""


class Drain(IpcMessage, frozen=True, kw_only=True):
    """Stop accepting, finish what is in flight, then ``Drained`` and end."""

    timeout_s: float
    hand_over: bool = False
    """True when a successor listens: idle keep-alive connections come back with ``HandOver``, they are not closed."""


class Adopt(IpcMessage, frozen=True, kw_only=True):
    """Serve this connection (one descriptor): it was idle in the worker before."""


class FireScheduled(IpcMessage, frozen=True, kw_only=True):
    """Run the ``scheduled`` handler."""

    cron: str
    scheduled_time_ms: int


# --- events: worker to host -----------------------------------------------------------------------------------------


class Ready(IpcMessage, frozen=True, kw_only=True):
    """Accepting connections."""

    pid: int
    handlers: tuple[str, ...]
    """Of ``fetch``, ``scheduled``, ``connect``, ``asgi``, ``wsgi``: what the module has."""
    loop: str
    """``"uvloop"`` or ``"asyncio"``."""
    boot_s: float


class BootFailed(IpcMessage, frozen=True, kw_only=True):
    """The user's module cannot be run. The process ends with exit code 3."""

    report: ErrorReport


class StillBooting(IpcMessage, frozen=True, kw_only=True):
    """Where the module is while its import takes long; the last one is told when the time is up."""

    frames: tuple[SourceFrame, ...]
    """Outermost first, from the first frame of the user's on."""


class HandOver(IpcMessage, frozen=True, kw_only=True):
    """An idle keep-alive connection (one descriptor) for the successor."""


class Drained(IpcMessage, frozen=True, kw_only=True):
    """Nothing is in flight any more; the process is about to end."""

    cancelled_requests: int = 0
    cancelled_tasks: int = 0


class RequestFinished(IpcMessage, frozen=True, kw_only=True):
    """One request was answered, failed, or lost its client."""

    request_id: str
    method: str
    path: str
    """With the query string."""
    status: int
    """0 when no status was sent."""
    duration_s: float
    outcome: str = "ok"
    """``"ok"``, ``"error"`` (the handler raised), ``"canceled"`` (the client left)."""
    client: str = ""


class ConnectionOpened(IpcMessage, frozen=True, kw_only=True):
    """An outbound connection is up, or could not be made (``error``)."""

    connection_id: int
    request_id: str
    """Empty when no request asked for it."""
    address: str
    """As the worker wrote it."""
    remote_address: str = ""
    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    total_s: float | None = None
    """All phases together, also where they cannot be told apart (a driver's own connection)."""
    error: str = ""
    via: str = "connect()"
    """``"connect()"``, ``"fetch()"``, ``"asyncio"`` (a driver's own connection) or ``"socket"`` (a synchronous driver's
    or a plain Python socket: no ``ConnectionClosed`` follows)."""


class ConnectionClosed(IpcMessage, frozen=True, kw_only=True):
    """An outbound connection ended."""

    connection_id: int
    request_id: str
    address: str
    bytes_sent: int
    bytes_received: int
    duration_s: float
    ended: str
    """How: ``"closed"``, ``"end of file"``, ``"reset"``, … in the words of the error."""
    tls_s: float | None = None
    """Of a handshake made on the open connection (STARTTLS)."""


class HandlerFailed(IpcMessage, frozen=True, kw_only=True):
    """A handler, or work given to ``wait_until``, raised."""

    where: str
    """``"fetch"``, ``"scheduled"``, ``"wait_until"``."""
    request_id: str
    subject: str
    """What was being done: ``"GET /customers"``, ``"cron */5 * * * *"``."""
    report: ErrorReport


class ScheduledFinished(IpcMessage, frozen=True, kw_only=True):
    """A ``scheduled`` handler ended; a failure came before as ``HandlerFailed``."""

    cron: str
    duration_s: float
    outcome: str = "ok"


class LogLine(IpcMessage, frozen=True, kw_only=True):
    """Something the runtime has to say, or a record of the worker's ``logging``."""

    level: str
    """``"debug"``, ``"info"``, ``"warning"``, ``"error"``."""
    text: str
    request_id: str = ""
    logger: str = ""


# --- host and zygote ------------------------------------------------------------------------------------------------


class Fork(IpcMessage, frozen=True, kw_only=True):
    """Command: become a worker.

    The worker's ends of its channels come with it: to the host, and to the egress process if there is one.
    """

    worker_id: int
    jail: JailPlan | None = None
    """What to put the worker into; None: nothing."""


class Kill(IpcMessage, frozen=True, kw_only=True):
    """Command: send a signal to a worker; SIGKILL reaches its whole process group."""

    worker_id: int
    signal: int


class ZygoteReady(IpcMessage, frozen=True, kw_only=True):
    """Event: everything is imported; forks are quick from now on."""

    pid: int


class Forked(IpcMessage, frozen=True, kw_only=True):
    """Event: a worker process exists."""

    worker_id: int
    pid: int


class ForkFailed(IpcMessage, frozen=True, kw_only=True):
    """Event: the system gave no process (``error``); there will be no ``Exited``."""

    worker_id: int
    error: str


class Exited(IpcMessage, frozen=True, kw_only=True):
    """Event: a worker process is gone and reaped."""

    worker_id: int
    pid: int
    code: int
    """Exit code; negative: the signal that ended it."""


HostMessage: TypeAlias = Start | Drain | Adopt | FireScheduled
WorkerMessage: TypeAlias = (
    Ready
    | BootFailed
    | StillBooting
    | HandOver
    | Drained
    | RequestFinished
    | ConnectionOpened
    | ConnectionClosed
    | HandlerFailed
    | ScheduledFinished
    | LogLine
)
ZygoteMessage: TypeAlias = Fork | Kill | ZygoteReady | Forked | ForkFailed | Exited
Message: TypeAlias = HostMessage | WorkerMessage | ZygoteMessage | EgressMessage | PoolMessage | TakeOverMessage

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """Return a message as JSON."""
    return _encoder.encode(message)


def decode_message(payload: bytes) -> Message:
    """Return the message.

    Raises:
        ValueError: it is none (``msgspec.ValidationError`` and ``DecodeError`` are ValueErrors).
    """
    return _decoder.decode(payload)
