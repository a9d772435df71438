"""Sends a response that is there as a whole with one write.

``send()`` of ASGI takes a response in two messages, looks at every header for what must not be in it, and decides how
the body is framed. Of a ``Response`` made of bytes all that is known: its headers were checked when it was made, and
its length is among them. So the state of uvicorn's cycle is moved on as ``send()`` would do it, without the detour; in
every case that is not the plain one, ``send()`` is called. ``tests/runtime/worker/test_whole_response.py`` compares
the bytes.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["keep_date", "send_whole"]

MAX_JOINED_BYTES = 16 * 1024
"""Up to here copying the body costs less than a second write."""

SPECIAL = frozenset({b"connection", b"date"})
"""Headers that change what else is sent."""

_cycle_send = RequestResponseCycle.send


def send_whole(send: Any, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
    """Send a whole response, if ``send`` is uvicorn's and there is nothing special about it.

    Args:
        send: ASGI's.
        status: of the response.
        headers: with ``content-length``, in lower case, checked.
        body: all of it.

    Returns:
        False when nothing was sent, and ``send()`` must be called.
    """
    if send.__class__ is not MethodType or send.__func__ is not _cycle_send:
        return False
    cycle: Any = send.__self__
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started or cycle.access_log:
        return False
    line = STATUS_LINE.get(status)
    if line is None or CLOSE_HEADER in cycle.scope["headers"]:
        return False
    parts = [line]
    has_length = False
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    for name, value in headers:
        if name == b"content-length":
            has_length = True
        elif name in SPECIAL:
            return False
        parts += (name, b": ", value, b"\r\n")
    if not has_length:
        return False
    parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    _write(cycle, parts, b"" if cycle.scope["method"] == "HEAD" else body)
    return True


def keep_date(send: Any, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Let a ``date`` among ``headers`` be the only one: a response of ``fetch()`` that is passed on has its own.

    Args:
        send: ASGI's; nothing is done to another server's.
        headers: of the response, in lower case.
    """
    cycle = getattr(send, "__self__", None)
    if isinstance(cycle, RequestResponseCycle) and any(name == b"date" for name, _ in headers):
        cycle.default_headers = [pair for pair in cycle.default_headers if pair[0] != b"date"]


def _write(cycle: Any, parts: list[bytes], body: bytes) -> None:
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    if len(body) <= MAX_JOINED_BYTES:
        parts.append(body)
        cycle.transport.write(b"".join(parts))
    else:
        cycle.transport.write(b"".join(parts))
        cycle.transport.write(body)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
