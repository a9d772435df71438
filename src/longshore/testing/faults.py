"""What can go wrong with one direction of a connection, as values, and the machine that applies it (PURE).

A *script* is a sequence of faults for one direction. ``FaultMachine`` takes the bytes of that direction and
returns what to do with them; it has no socket, no clock and no task, so it is tested alone.
``longshore.testing.proxy`` carries its decisions out.

A fault with an offset fires as soon as that many bytes were forwarded, also when no further byte ever
comes: at offset 0 it fires when the connection is made, and one that lies beyond the end never does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from itertools import cycle
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias, final

from longshore.core.shown import shown
from longshore.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Action",
    "ByteWise",
    "Chunked",
    "CloseBoth",
    "Cut",
    "Delay",
    "Fault",
    "FaultMachine",
    "Forward",
    "HalfClose",
    "Pause",
    "Reset",
    "ResetBoth",
    "SendEof",
    "Stall",
    "Truncate",
    "Wait",
]

# -- faults ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _AtOffset:
    at_bytes: int
    """How many bytes of this direction are forwarded before the fault; 0 or more."""

    def __post_init__(self) -> None:
        _check_count("at_bytes", self.at_bytes, least=0)


@final
@dataclass(frozen=True, slots=True)
class Cut(_AtOffset):
    """Close both connections after the offset: both peers see FIN, and a RST if they go on writing."""


@final
@dataclass(frozen=True, slots=True)
class Reset(_AtOffset):
    """Reset both connections (RST) after the offset, once what was forwarded has been acknowledged."""


@final
@dataclass(frozen=True, slots=True)
class Stall(_AtOffset):
    """Forward and read nothing after the offset, with both connections open, until told to resume."""


@final
@dataclass(frozen=True, slots=True)
class Delay(_AtOffset):
    """Hold everything after the offset back for some time, once."""

    delay_s: float
    """How long, in seconds."""

    def __post_init__(self) -> None:
        _check_count("at_bytes", self.at_bytes, least=0)
        if isinstance(self.delay_s, bool) or not isinstance(self.delay_s, (int, float)):
            raise ArgumentTypeError(f"delay_s {shown(self.delay_s)} is no number: give seconds")
        if not isfinite(self.delay_s) or self.delay_s < 0:
            raise ArgumentValueError(f"delay_s {shown(self.delay_s)} is not allowed: give 0 or more seconds")


@final
@dataclass(frozen=True, slots=True)
class Truncate(_AtOffset):
    """Send FIN after the offset and drop the rest unnoticed: the sender is read to its end.

    The receiver is told that the data are complete, the sender that all of them arrived.
    """


@final
@dataclass(frozen=True, slots=True)
class HalfClose(_AtOffset):
    """Send FIN after the offset and stop reading: a sender that goes on meets back-pressure.

    The other direction continues; when it has ended too, what the sender still sends is discarded.
    """


@final
@dataclass(frozen=True, slots=True)
class ByteWise:
    """Forward every byte in a segment of its own."""


@final
@dataclass(frozen=True, slots=True)
class Chunked:
    """Forward in segments of at most these sizes, taken in turn and from the front again.

    What has arrived is never held back to fill a segment.
    """

    sizes: tuple[int, ...]
    """Sizes in bytes, each at least 1; any sequence is accepted and kept as a tuple."""

    def __init__(self, sizes: Sequence[int]) -> None:
        kept = tuple(sizes)
        if not kept:
            raise ArgumentValueError("sizes () is empty: give at least one size in bytes")
        for size in kept:
            _check_count("a chunk size", size, least=1)
        object.__setattr__(self, "sizes", kept)


Fault: TypeAlias = Cut | Reset | Stall | Delay | Truncate | HalfClose | ByteWise | Chunked
"""Anything that a script may hold."""

# -- actions -----------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Forward:
    """Send these bytes to the receiver."""

    data: bytes
    """At least one byte."""


@final
@dataclass(frozen=True, slots=True)
class SendEof:
    """End this direction towards the receiver (FIN)."""


@final
@dataclass(frozen=True, slots=True)
class CloseBoth:
    """Close both connections (FIN)."""


@final
@dataclass(frozen=True, slots=True)
class ResetBoth:
    """Reset both connections (RST) once the receiver's kernel has what was forwarded."""


@final
@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing more in this direction until told to resume; then go on with the next action."""


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing more in this direction for some time; then go on with the next action."""

    delay_s: float
    """How long, in seconds."""


Action: TypeAlias = Forward | SendEof | CloseBoth | ResetBoth | Pause | Wait
"""One step for whoever carries the bytes; steps are taken in order, each after the one before is done."""

# -- machine -----------------------------------------------------------------------------------------

_OffsetFault: TypeAlias = Cut | Reset | Stall | Delay | Truncate | HalfClose


class _State(Enum):
    FORWARDING = auto()
    DROPPING = auto()  # FIN was sent; input is taken and thrown away
    ENDED = auto()  # input is not wanted any more


_OUTCOMES: Final[dict[type[_OffsetFault], tuple[Action, _State]]] = {
    Cut: (CloseBoth(), _State.ENDED),
    Reset: (ResetBoth(), _State.ENDED),
    Stall: (Pause(), _State.FORWARDING),
    Truncate: (SendEof(), _State.DROPPING),
    HalfClose: (SendEof(), _State.ENDED),
}


@final
class FaultMachine:
    """Applies a script to one direction: bytes and end-of-file in, actions out.

    Args:
        faults: any order; those with the same offset fire in the order given. One that stands behind a
            fault which ends the direction cannot be reached and never fires.

    Raises:
        ArgumentTypeError: an item is no fault.
        ArgumentValueError: more than one ``ByteWise`` or ``Chunked`` is given.
    """

    __slots__ = ("_forwarded_bytes", "_pending", "_sizes", "_state")

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        at_offset: list[_OffsetFault] = []
        segmenting: list[ByteWise | Chunked] = []
        for fault in faults:
            if isinstance(fault, (ByteWise, Chunked)):
                segmenting.append(fault)
            elif isinstance(fault, _AtOffset):
                at_offset.append(fault)
            else:
                raise ArgumentTypeError(f"{shown(fault)} is no fault: use those of longshore.testing.faults")
        self._pending = deque(sorted(at_offset, key=lambda fault: fault.at_bytes))
        self._sizes = _segment_sizes(segmenting)
        self._forwarded_bytes = 0
        self._state = _State.FORWARDING

    @property
    def forwarded_bytes(self) -> int:
        """How many bytes it has told to forward so far."""
        return self._forwarded_bytes

    @property
    def wants_input(self) -> bool:
        """False once nothing that the sender does can matter any more: do not read it."""
        return self._state is not _State.ENDED

    @property
    def has_segment_rule(self) -> bool:
        """Whether every ``Forward`` must leave in a segment of its own."""
        return self._sizes is not None

    def start(self) -> list[Action]:
        """Return what to do when the connection is made, before any byte: the faults at offset 0."""
        return self._due()

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Action]:
        """Return what to do with ``data`` from the sender."""
        rest = memoryview(data)
        actions: list[Action] = []
        while rest and self._state is _State.FORWARDING:
            size = self._segment_bytes(len(rest))
            actions.append(Forward(bytes(rest[:size])))
            rest = rest[size:]
            self._forwarded_bytes += size
            actions += self._due()
        return actions

    def receive_eof(self) -> list[Action]:
        """Return what to do at the sender's end-of-file."""
        was, self._state = self._state, _State.ENDED
        return [SendEof()] if was is _State.FORWARDING else []

    def _segment_bytes(self, available: int) -> int:
        size = available
        if self._pending:
            size = min(size, self._pending[0].at_bytes - self._forwarded_bytes)
        return size if self._sizes is None else min(size, next(self._sizes))

    def _due(self) -> list[Action]:
        actions: list[Action] = []
        while self._state is _State.FORWARDING and self._pending:
            if self._pending[0].at_bytes > self._forwarded_bytes:
                break
            actions.append(self._fire(self._pending.popleft()))
        return actions

    def _fire(self, fault: _OffsetFault) -> Action:
        if isinstance(fault, Delay):
            return Wait(fault.delay_s)
        action, self._state = _OUTCOMES[type(fault)]
        return action


def _segment_sizes(faults: list[ByteWise | Chunked]) -> Iterator[int] | None:
    if len(faults) > 1:
        raise ArgumentValueError(f"{shown(faults)} contradict each other: one direction has one segment rule")
    if not faults:
        return None
    fault = faults[0]
    return cycle((1,) if isinstance(fault, ByteWise) else fault.sizes)


def _check_count(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{name} {shown(value)} is no int: give a number of bytes")
    if value < least:
        raise ArgumentValueError(f"{name} {shown(value)} is too small: it must be at least {least}")
