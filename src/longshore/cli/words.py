"""How times, sizes, statuses and untrusted text are spelled in every log of ours (PURE)."""

from __future__ import annotations

import re
import signal
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.proto.ipc.messages import ConnectionClosed, ConnectionOpened, Drained, RequestFinished, SourceFrame
    from longshore.runtime.host.events import PortTaken, RestartScheduled, WorkerExited

__all__ = [
    "EGRESS_LOST",
    "POOL_LOST",
    "closed_words",
    "cut_off_words",
    "duration",
    "exited_words",
    "library_of",
    "opened_words",
    "place",
    "port_taken_words",
    "printable",
    "restart_words",
    "size",
    "status_words",
    "tag",
]

TAG_CHARS: Final = 6
EGRESS_LOST: Final = "the process that makes connections ended; it is started anew, with the workers"
POOL_LOST: Final = "the process that keeps connections to databases ended; it is started anew, sessions were broken"
OWN_PACKAGE: Final = Path(__file__).parents[1]
# Everything that could move a cursor or recolour a terminal: C0 without tab and line feed, DEL, C1.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNITS: Final = ("kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """Return ``0.4ms``, ``5ms``, ``1.2s`` or ``2m 05s``."""
    milliseconds = seconds * 1000
    if milliseconds < 1:
        return f"{milliseconds:.1f}ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    if seconds < 99.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s"


def size(count_bytes: int) -> str:
    """Return ``12 B``, ``1.2 kB`` or ``3.4 MB``."""
    if count_bytes < 1000:
        return f"{count_bytes} B"
    value = float(count_bytes)
    for unit in _UNITS:
        value /= 1000
        if value < 999.95 or unit == _UNITS[-1]:
            return f"{value:.1f} {unit}"
    raise AssertionError("the last unit takes everything")


def printable(text: str) -> str:
    r"""Return text that cannot speak to the terminal: control characters are spelled ``\x1b``."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def tag(request_id: str) -> str:
    """Return what tells the lines of one request from those of another: ``#17``, or nothing outside a request."""
    # The runtime's ids are ``<process>-<count>``; which process it was, the line says otherwise or does not matter.
    return f"#{printable(request_id.rpartition('-')[2][-TAG_CHARS:])}" if request_id else ""


def status_words(message: RequestFinished) -> str:
    """Return ``200 OK``, ``299``, ``canceled``, or what else became of the request."""
    if message.outcome == "canceled":
        return "canceled" if message.status == 0 else f"{_status(message.status)}, canceled"
    if message.status == 0:
        return "no response"
    broke_off = message.outcome == "error" and message.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return f"{_status(message.status)}, broken off" if broke_off else _status(message.status)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def opened_words(message: ConnectionOpened) -> str:
    """Return what is known of a new connection: where it leads, and how long each phase took."""
    if message.error:
        return printable(message.error)
    phases = (("dns", message.dns_s), ("tcp", message.tcp_s), ("tls", message.tls_s))
    times = [f"{name} {duration(seconds)}" for name, seconds in phases if seconds is not None]
    via = [message.via] if message.via == "fetch()" else []
    where = [message.remote_address] if message.remote_address not in {"", message.address} else []
    return printable("  ".join([*where, *times, *via]) or "open")


def closed_words(message: ConnectionClosed) -> str:
    """Return how a connection ended, and what went through it."""
    amount = f"sent {size(message.bytes_sent)}, received {size(message.bytes_received)}"
    return f"{printable(message.ended)} after {duration(message.duration_s)}, {amount}"


def cut_off_words(message: Drained) -> str:
    """Return what was not finished when a worker ended."""
    counts = ((message.cancelled_requests, "request"), (message.cancelled_tasks, "background task"))
    cut = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count]
    return f"out of time: cut off {' and '.join(cut)}"


def exited_words(event: WorkerExited) -> str:
    """Return how a worker process ended."""
    how = f"ended with {event.code}" if event.code >= 0 else f"was ended by {_signal_name(-event.code)}"
    return how if event.was_expected else f"{how}, which nobody asked for"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def restart_words(event: RestartScheduled) -> str:
    """Return when a worker that died is replaced."""
    count = "" if event.crashes <= 1 else f" (it died {event.crashes} times in a row)"
    return f"starting another one in {duration(event.in_s)}{count}" if event.in_s else f"starting another one{count}"


def port_taken_words(event: PortTaken) -> str:
    """Return who has the wanted port, and which one is used instead."""
    holder = f" by {printable(event.holder)}" if event.holder else ""
    return f"port {event.wanted} is taken{holder}; using {event.port}"


def library_of(file: str) -> str:
    """Return the package that a frame belongs to: ``asyncpg``, ``asyncio``, or the file's name."""
    if Path(file).is_relative_to(OWN_PACKAGE):
        return OWN_PACKAGE.name
    parts = Path(file).parts
    for marker in ("site-packages", "dist-packages"):
        if marker in parts:
            after = parts[parts.index(marker) + 1 :]
            return after[0].removesuffix(".py") if after else file
    if len(parts) > 1 and not Path(file).is_absolute():
        return parts[0]  # `uvloop/loop.pyx`: what a compiled module says of itself
    for index, part in enumerate(parts[:-1]):
        if re.fullmatch(r"python3\.\d+t?", part):
            return parts[index + 1].removesuffix(".py")
    return Path(file).name


def place(frame: SourceFrame, project_dir: str) -> str:
    """Return ``src/entry.py:12 in fetch``, relative to the project where it is inside."""
    path = Path(frame.file)
    inside = bool(project_dir) and path.is_relative_to(project_dir)
    shown = path.relative_to(project_dir) if inside else path
    # A syntax error has a place, but nothing was running there.
    function = f" in {frame.function}" if frame.function else ""
    return printable(f"{shown}:{frame.line}{function}")
