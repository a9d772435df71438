"""One event as one JSON object, for whoever collects logs (PURE).

Every object has ``time`` (RFC 3339, UTC), ``level``, ``event`` and, where one is concerned, ``worker``: the process's
number, which counts up with every restart and reload. The other fields are those of the event; what is empty is left
out.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longshore.cli.levels import level_of, name_of
from longshore.proto.ipc.messages import ErrorReport
from longshore.runtime.host.events import Audited, ConfigReloaded, Enclosed, FromWorker

if TYPE_CHECKING:
    from datetime import datetime

    from longshore.proto.ipc.messages import WorkerMessage
    from longshore.runtime.host.events import HostEvent

__all__ = ["json_line", "json_object"]

_encoder: Final = msgspec.json.Encoder()
RENAMED: Final = {"worker_id": "worker", "report": "error", "text": "message"}
"""``worker`` and ``error`` are what people look for; ``message`` is what log collectors show."""

_OF_THE_HEAD: Final = frozenset({"time", "event", "worker", "worker_id"})


def json_line(event: HostEvent, time: datetime) -> str | None:
    """Return the event as a line without its end, or None when it is none of a log's business."""
    found = json_object(event, time)
    return None if found is None else _encoder.encode(found).decode()


def json_object(event: HostEvent, time: datetime) -> dict[str, Any] | None:
    """Return the event as an object, or None when it is none of a log's business."""
    subject: HostEvent | WorkerMessage = event.message if isinstance(event, FromWorker) else event
    if (name := name_of(subject)) is None:
        return None
    spelled = time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found: dict[str, Any] = {"time": spelled, "level": level_of(subject), "event": name}
    if isinstance(event, FromWorker | Audited):
        found["worker"] = event.worker_id
    fields = ((RENAMED.get(key, key), value) for key, value in _fields(subject))
    return {**found, **{key: _plain(value) for key, value in fields if key not in found and not _is_empty(value)}}


def _fields(subject: HostEvent | WorkerMessage) -> list[tuple[str, Any]]:
    if isinstance(subject, ConfigReloaded):
        return []  # it holds secrets
    if isinstance(subject, Audited):
        record = msgspec.structs.asdict(subject.record)
        return [("worker_name", record["worker"]), *((key, record[key]) for key in record if key not in _OF_THE_HEAD)]
    if isinstance(subject, msgspec.Struct):
        return list(msgspec.structs.asdict(subject).items())
    if isinstance(subject, Enclosed):
        missing = [{"layer": name, "reason": reason, "lost": lost} for name, reason, lost in subject.missing]
        return [("isolation", subject.isolation), ("in_force", subject.in_force), ("missing", tuple(missing))]
    return [(field.name, getattr(subject, field.name)) for field in dataclasses.fields(subject)]


def _is_empty(value: object) -> bool:
    return value is None or value == "" or value == ()


def _plain(value: object) -> object:
    if isinstance(value, ErrorReport):
        return {"type": value.type, "message": value.message, "traceback": value.text}
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, (str, int, bool, list, tuple)) else str(value)
