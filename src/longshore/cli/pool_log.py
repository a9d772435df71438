"""The log of ``longshore pool``: one line, or one JSON object, for each event."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from longshore.cli.words import printable

if TYPE_CHECKING:
    from typing import TextIO

    from longshore.cli.log_writer import LogWriter
    from longshore.pool.standalone.events import PoolEvent

__all__ = ["PoolLog", "json_of_event", "line_of_event"]

_MARKS: Final = {"debug": " ", "info": " ", "warning": "!", "error": "✗"}


class PoolLog:
    """An event sink.

    Args:
        stream: where to.
        is_json: for machines.
    """

    def __init__(self, stream: TextIO | LogWriter, *, is_json: bool) -> None:
        self._stream = stream
        self._form = json_of_event if is_json else line_of_event

    def __call__(self, event: PoolEvent) -> None:
        """Write one event."""
        now = datetime.now(UTC)  # noqa: TID251 - a log says at what time of day something happened
        self._stream.write(f"{self._form(event, now)}\n")
        self._stream.flush()


def line_of_event(event: PoolEvent, now: datetime) -> str:
    """Return the line for people."""
    words = printable(str(event)).replace("\n", " ")
    return f"{now.astimezone():%H:%M:%S} {_MARKS[event.level]} {words}"


def json_of_event(event: PoolEvent, now: datetime) -> str:
    """Return the object for machines."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "level": event.level, "event": event.name, "message": str(event), **fields})
