"""The life of a socket as a table (PURE): which event, in which state, settles what.

``docs/reference/socket-lifecycle.md`` explains the same table to users. Rules of it:

* ``opened`` and ``closed`` settle on every path and once (rule K6): each way into a terminal state settles
  what is still pending, and terminal states ignore every event.
* A state says which directions have ended; how they ended (end-of-file, cancel) is the sides' business.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

__all__ = ["TERMINAL", "TRANSITIONS", "Action", "Event", "Lifecycle", "State"]


class State(Enum):
    """Where a socket is in its life."""

    __hash__ = object.__hash__  # members are singletons, and Enum's own hash is a call into Python

    CONNECTING = auto()
    OPEN = auto()
    READ_CANCELLED = auto()
    """``readable.cancel()``: what arrives is discarded, the peer's FIN is still noticed."""
    READ_ENDED = auto()
    """The peer's end-of-file has been read; this side may still write."""
    WRITE_ABORTED = auto()
    """``writable.abort()``: no FIN may tell the peer that all is well, so the end will be a reset."""
    WRITE_ENDED = auto()
    """FIN (close_notify) is sent; the peer may still write."""
    CLOSING = auto()
    """``close()`` was called; queued bytes are being flushed."""
    CLOSED = auto()
    FAILED = auto()
    UPGRADED = auto()
    """The connection belongs to the socket that ``start_tls()`` returned."""


class Event(Enum):
    """What can happen to a socket."""

    __hash__ = object.__hash__

    CONNECTED = auto()
    CONNECT_FAILED = auto()
    PEER_ENDED = auto()
    """The peer's FIN (close_notify), with everything before it read."""
    READ_CANCEL = auto()
    WRITE_SHUT = auto()
    """Everything is flushed and FIN (close_notify) is sent."""
    WRITE_ABORT = auto()
    BROKEN = auto()
    CLOSE = auto()
    CLOSE_TIMED_OUT = auto()
    ABORT = auto()
    UPGRADE = auto()


class Action(Enum):
    """What the shell must do, in this order."""

    __hash__ = object.__hash__

    CANCEL_DIAL = auto()
    RESOLVE_OPENED = auto()
    REJECT_OPENED = auto()
    END_WRITE = auto()
    """Flush what is queued, then send FIN (close_notify); ``WRITE_SHUT`` follows."""
    RELEASE = auto()
    """Close the connection."""
    RESET = auto()
    """Reset the connection."""
    KEEP_UNREAD = auto()
    """Close the connection as soon as what arrived before the failure has been read."""
    RESOLVE_CLOSED = auto()
    REJECT_CLOSED = auto()


S, E, A = State, Event, Action

TERMINAL: Final = frozenset({S.CLOSED, S.FAILED, S.UPGRADED})

_RESET: Final = (S.FAILED, (A.RESET, A.REJECT_CLOSED))
_ENDED: Final = (S.CLOSED, (A.RELEASE, A.RESOLVE_CLOSED))
_FAILURES: Final = {
    E.BROKEN: (S.FAILED, (A.KEEP_UNREAD, A.REJECT_CLOSED)),
    E.ABORT: _RESET,
}

TRANSITIONS: Final[dict[State, dict[Event, tuple[State, tuple[Action, ...]]]]] = {
    S.CONNECTING: {
        E.CONNECTED: (S.OPEN, (A.RESOLVE_OPENED,)),
        E.CONNECT_FAILED: (S.FAILED, (A.REJECT_OPENED, A.REJECT_CLOSED)),
        E.CLOSE: (S.CLOSED, (A.CANCEL_DIAL, A.REJECT_OPENED, A.RESOLVE_CLOSED)),
        E.ABORT: (S.FAILED, (A.CANCEL_DIAL, A.REJECT_OPENED, A.REJECT_CLOSED)),
        E.UPGRADE: (S.UPGRADED, (A.RESOLVE_CLOSED,)),
    },
    S.OPEN: {
        **_FAILURES,
        E.PEER_ENDED: (S.READ_ENDED, (A.END_WRITE,)),
        E.READ_CANCEL: (S.READ_CANCELLED, ()),
        E.WRITE_SHUT: (S.WRITE_ENDED, ()),
        E.WRITE_ABORT: (S.WRITE_ABORTED, ()),
        E.CLOSE: (S.CLOSING, (A.END_WRITE,)),
        E.UPGRADE: (S.UPGRADED, (A.RESOLVE_CLOSED,)),
    },
    S.READ_CANCELLED: {
        **_FAILURES,
        E.PEER_ENDED: (S.READ_ENDED, (A.END_WRITE,)),
        E.WRITE_SHUT: _ENDED,
        E.WRITE_ABORT: _RESET,
        E.CLOSE: (S.CLOSING, (A.END_WRITE,)),
    },
    S.READ_ENDED: {
        **_FAILURES,
        E.WRITE_SHUT: _ENDED,
        E.WRITE_ABORT: _RESET,
        E.CLOSE: (S.CLOSING, (A.END_WRITE,)),
    },
    S.WRITE_ABORTED: {
        **_FAILURES,
        E.PEER_ENDED: _RESET,
        E.READ_CANCEL: _RESET,
        E.CLOSE: _RESET,
    },
    S.WRITE_ENDED: {
        **_FAILURES,
        E.PEER_ENDED: _ENDED,
        E.READ_CANCEL: _ENDED,
        E.CLOSE: _ENDED,
    },
    S.CLOSING: {
        **_FAILURES,
        E.WRITE_SHUT: _ENDED,
        E.CLOSE_TIMED_OUT: _RESET,
        E.WRITE_ABORT: _RESET,
    },
    S.CLOSED: {},
    S.FAILED: {},
    S.UPGRADED: {},
}


class Lifecycle:
    """One socket's place in the table.

    Args:
        allow_half_open: the peer's end-of-file leaves the write side open (rule K7).
    """

    __slots__ = ("_allow_half_open", "state")

    def __init__(self, *, allow_half_open: bool) -> None:
        self._allow_half_open = allow_half_open
        self.state = State.CONNECTING

    @property
    def is_finished(self) -> bool:
        """True in a terminal state: nothing will happen any more."""
        return self.state in TERMINAL

    def step(self, event: Event) -> tuple[Action, ...]:
        """Take ``event`` and return what to do about it; an event that means nothing here is ignored."""
        found = TRANSITIONS[self.state].get(event)
        if found is None:
            return ()
        self.state, actions = found
        if event is Event.PEER_ENDED and self._allow_half_open:
            return tuple(action for action in actions if action is not Action.END_WRITE)
        return actions
