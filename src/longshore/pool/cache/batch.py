"""What stands at the head of a client's messages, as far as a cache may answer it (PURE).

One Query; or, up to a Sync, at most one each of Parse, Describe of the statement, Bind, Describe of the portal and
Execute, in that order. A row limit ends the result, for the portal does not outlive the Sync. A batch that only
prepares (Parse, Describe) may also end in a Flush.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.pool.session.rename import STATEMENT, bind_names, split_parse
from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.framing import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.proto.postgres.framing import FrameEvent

__all__ = ["Batch", "Parsed", "batch_at"]

_F = FrontendType
_QUERY, _SYNC, _FLUSH = int(_F.Query), int(_F.Sync), int(_F.Flush)
_DESCRIBE: Final = int(_F.Describe)
_PARSE, _DESCRIBE_STATEMENT, _BIND, _DESCRIBE_PORTAL, _EXECUTE = range(1, 6)
_STEPS: Final = {int(_F.Parse): _PARSE, int(_F.Bind): _BIND, int(_F.Execute): _EXECUTE}


@dataclass(slots=True)
class Parsed:
    """A Parse."""

    name: bytes
    text: bytes
    body: bytes
    """Text, NUL, parameter types."""


@dataclass(slots=True)
class Batch:
    """Messages that are answered together."""

    frames: int = 0
    """How many of the client's messages it is."""
    query: bytes | None = None
    """The text of a Query."""
    parse: Parsed | None = None
    describes_statement: bool = False
    describes_portal: bool = False
    executes: bool = False
    limit: bytes = b""
    """Of Execute: at most so many rows, zero for all."""
    is_flushed: bool = False
    """Ends in a Flush: no ReadyForQuery follows."""
    name: bytes = b""
    """Of the statement that is described or bound."""
    values: bytes = b""
    """Of Bind, all behind the names: formats, values, formats of the result."""
    main: Frame | None = None
    """Its Query or Bind."""


def batch_at(inbox: Iterable[FrameEvent]) -> Batch | None:
    """Return the first batch; None when it is not complete, or none that a cache answers."""
    batch = Batch()
    last = 0
    for count, event in enumerate(inbox, 1):
        if not isinstance(event, Frame):
            return None
        kind, raw = event
        if kind == _QUERY and count == 1:
            batch.frames, batch.query, batch.main = 1, raw[5:-1], event
            return batch
        if kind == _SYNC:
            batch.frames, batch.is_flushed = count, False
            return batch if last in _ENDS else None
        if kind == _FLUSH:
            batch.frames, batch.is_flushed = count, True
            continue
        step = _DESCRIBES.get(raw[5], 0) if kind == _DESCRIBE else _STEPS.get(kind, 0)
        if step <= last or not _take(batch, step, raw, is_first=not last):
            return None
        if step == _BIND:
            batch.main = event
        last = step
    # A Flush without a Sync: only what prepares, where nothing of the client's has come behind it.
    return batch if batch.is_flushed and batch.frames == count and last <= _DESCRIBE_STATEMENT else None


_DESCRIBES: Final = {STATEMENT: _DESCRIBE_STATEMENT, ord("P"): _DESCRIBE_PORTAL}
_ENDS: Final = frozenset({_PARSE, _DESCRIBE_STATEMENT, _EXECUTE})


def _take(batch: Batch, step: int, raw: bytes, *, is_first: bool) -> bool:
    """Take a message; False when the batch is not for a cache."""
    try:
        if step == _PARSE:
            batch.parse = Parsed(*split_parse(raw))
            batch.name = batch.parse.name
            return True
        if step == _DESCRIBE_STATEMENT:
            batch.describes_statement = True
            return _is_same(batch, raw[6:-1], is_first=is_first)
        if step == _BIND:
            return _take_bind(batch, raw, is_first=is_first)
        if step == _DESCRIBE_PORTAL:
            batch.describes_portal = True
            return raw[6:-1] == b""
    except ValueError:
        return False  # malformed: not ours to say
    batch.executes, batch.limit = True, raw[6:]
    return raw[5:6] == b"\0"


def _take_bind(batch: Batch, raw: bytes, *, is_first: bool) -> bool:
    portal, name = bind_names(raw)
    batch.values = raw[7 + len(name) :]
    return not portal and _is_same(batch, name, is_first=is_first)


def _is_same(batch: Batch, name: bytes, *, is_first: bool) -> bool:
    """Return whether all of the batch is about one statement."""
    if is_first:
        batch.name = name
    return batch.name == name
