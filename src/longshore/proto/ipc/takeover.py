"""What two processes of ``longshore pool`` say to each other when one takes the other's place (PURE).

The new one connects to the control socket of the old one and speaks first::

    new                                       old
    TakeOver            ──────────────────►
                        ◄──────────────────   Offer + the listening sockets
    … gets ready; until here the old one serves as if nothing had happened …
    Ready               ──────────────────►   accepts no more
                        ◄──────────────────   MoveClient + its socket, for each that is at rest
    ClientTaken         ──────────────────►   closes its own copy of that socket
    CancelClient        ◄─────────────────►   a cancel request for a client that is over there
    CancelDone          ◄─────────────────►
                        ◄──────────────────   end of file: the last client has left
"""

from __future__ import annotations

from typing import Any, TypeAlias

from longshore.proto.ipc.base import IpcMessage

__all__ = [
    "CancelClient",
    "CancelDone",
    "ClientRefused",
    "ClientTaken",
    "MoveClient",
    "Offer",
    "StandDown",
    "TakeOver",
    "TakeOverMessage",
    "TakeOverRefused",
    "TakenOver",
]

FORM = 1
"""Of these messages, and of what ``MoveClient.session`` holds; two releases with different ones cannot hand over."""


class TakeOver(IpcMessage, frozen=True, kw_only=True):
    """I want your place."""

    form: int
    pid: int


class TakeOverRefused(IpcMessage, frozen=True, kw_only=True):
    """No."""

    reason: str


class Offer(IpcMessage, frozen=True, kw_only=True):
    """The listening sockets, as descriptors: the control socket first, then one for each of ``listen``."""

    pid: int
    listen: tuple[str, ...]
    """As they were configured; one place may have several sockets."""
    first_session_id: int
    """Numbers below it are, or will be, in use by my clients."""


class TakenOver(IpcMessage, frozen=True, kw_only=True):
    """I accept now; you do not."""

    drain_s: float | None = None
    """How long clients that cannot be moved may stay with you; None: as long as you were told."""


class MoveClient(IpcMessage, frozen=True, kw_only=True):
    """A client at rest; its socket is the only descriptor."""

    client_id: int
    user: str
    database: str
    cancel_pid: int
    cancel_secret: str
    """In hexadecimal digits."""
    tenant: str
    session: dict[str, Any]
    """``SessionEngine.packed()``."""
    secret: tuple[str, ...] = ()
    """With what its pool logs in, where clients log in as themselves."""


class ClientTaken(IpcMessage, frozen=True, kw_only=True):
    """It is mine."""

    client_id: int


class ClientRefused(IpcMessage, frozen=True, kw_only=True):
    """I have no pool for it: keep it."""

    client_id: int
    reason: str


class CancelClient(IpcMessage, frozen=True, kw_only=True):
    """Cancel what a client of yours does, or say that it is none of yours; ``CancelDone`` follows in any case."""

    request_id: int
    cancel_pid: int
    cancel_secret: str


class CancelDone(IpcMessage, frozen=True, kw_only=True):
    """Nothing that this client does from now on can be hit."""

    request_id: int


class StandDown(IpcMessage, frozen=True, kw_only=True):
    """Whatever becomes of me, do not accept again: I am stopping in good order, or somebody took my place."""

    is_stopping: bool
    """True: stop too."""


TakeOverMessage: TypeAlias = (
    TakeOver
    | TakeOverRefused
    | Offer
    | TakenOver
    | MoveClient
    | ClientTaken
    | ClientRefused
    | CancelClient
    | CancelDone
    | StandDown
)
