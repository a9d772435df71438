"""The two directions of a session, and whose turn it is (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.proto.postgres.constants import FrontendType
from longshore.proto.postgres.frontend import Sent
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.session.server_memory import ServerMemory
    from longshore.proto.postgres.backend_messages import ErrorResponse
    from longshore.proto.postgres.frontend import Outcome

__all__ = ["Refused", "Wire"]

_FORWARD = Sent.FORWARD
# No portal, a statement that is never made, no formats, no values.
_FAILING_BIND: Final = b"B\x00\x00\x00\x1a\x00longshore_none\x00" + bytes(6)


@dataclass(frozen=True, slots=True)
class Refused:
    """In the place of a message of the client that the pool does not accept."""

    error: bytes
    """What the client is told."""


class Wire:
    """What is to be sent, and the queue of the server connection.

    Rule: every message to the server goes through the queue, so that every answer finds whoever asked.

    Args:
        on_finished: is told how each request with a tag ended.
    """

    __slots__ = ("_on_finished", "server", "to_client", "to_server")

    def __init__(self, on_finished: Callable[[object, Outcome], None]) -> None:
        self.to_client: list[bytes] = []
        self.to_server: list[bytes] = []
        self.server: ServerMemory | None = None
        self._on_finished = on_finished

    def end(self) -> None:
        """Tell nobody any more."""
        self._on_finished = _nobody

    def send(self, raw: bytes, message_type: int, detail: int = 0, tag: object = None) -> bool:
        """Send a message of the client; False when the server would not read it anyway."""
        assert self.server is not None
        if self.server.relay.client_sent(message_type, detail, tag=tag) is _FORWARD:
            self.to_server.append(raw)
            return True
        return False

    def inject(self, raw: bytes, message_type: int, tag: object = None, detail: int = 0) -> bool:
        """Send a message of ours."""
        assert self.server is not None
        if self.server.relay.pool_sent(message_type, detail, tag=tag) is _FORWARD:
            self.to_server.append(raw)
            return True
        return False

    def answer(self, reply: bytes, tag: object = None) -> bool:
        """Answer in the place of the server, when its turn has come."""
        assert self.server is not None
        is_taken = self.server.relay.answer(reply, tag=tag) is _FORWARD
        self.collect()
        return is_taken

    def refuse(self, error: ErrorResponse) -> None:
        """Answer a message of the extended protocol with an error.

        The server must hear of it, or it would commit what stands before: so it gets something that fails there.
        """
        self.inject(_FAILING_BIND, FrontendType.Bind, Refused(serialize(error)))

    def collect(self) -> None:
        """Send the answers of ours whose turn has come, and tell what has ended."""
        assert self.server is not None
        relay = self.server.relay
        self.to_client.extend(relay.take_local())
        for tag, outcome in relay.take_finished():
            self._on_finished(tag, outcome)


def _nobody(_tag: object, _outcome: Outcome) -> None:
    """Of a session that is over."""
