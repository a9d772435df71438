"""A blocking client over a plain socket, made of nothing but the codec: the shell that the PURE modules lack."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections import deque
from typing import TYPE_CHECKING, Self

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.channel_binding import server_end_point
from longshore.proto.postgres.codec import parse_backend, serialize, serialize_startup
from longshore.proto.postgres.constants import PROTOCOL_3_0
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.frontend import FrontendState, Sent
from longshore.proto.postgres.startup import accept_negotiation

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["PgClient", "fetch"]

LIMIT_S = 30.0
"""A server that says nothing for so long fails the test."""


class PgClient:
    """One session. Every message is checked: its bytes survive the round trip, and it is legal."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self.reader = backend_reader(max_whole_bytes=1 << 24)
        self.state = FrontendState()
        self.heard = bytearray()  # all that the server said since the login began
        self.key: m.BackendKeyData | None = None
        self.parameters: dict[bytes, bytes] = {}
        self.version = PROTOCOL_3_0
        self.binding: bytes | None = None
        self._frames: deque[Frame] = deque()
        if context is not None:
            self._start_tls(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def _start_tls(self, context: ssl.SSLContext) -> None:
        self.socket.sendall(serialize_startup(m.SSLRequest()))
        assert self.socket.recv(1) == b"S"
        wrapped = context.wrap_socket(self.socket, server_hostname="localhost")
        certificate = wrapped.getpeercert(binary_form=True)
        assert certificate is not None
        self.socket, self.binding = wrapped, server_end_point(certificate)

    def log_in(
        self,
        credentials: Credentials,
        *parameters: tuple[bytes, bytes],
        version: int = PROTOCOL_3_0,
    ) -> m.ErrorResponse | None:
        """Go on to ReadyForQuery; return the error of a server that refuses."""
        names = ((b"user", credentials.user), (b"database", b"postgres"), *parameters)
        asked = m.StartupMessage(names, version)
        self.socket.sendall(serialize_startup(asked))
        self.version = version
        login = ClientAuthenticator(credentials, nonce=b64encode(os.urandom(18)), binding=self.binding)
        while not isinstance(message := self.receive(), m.ReadyForQuery):
            if isinstance(message, m.ErrorResponse):
                return message
            self._take(message, asked, login)
        assert login.is_done
        return None

    def _take(self, message: m.BackendMessage, asked: m.StartupMessage, login: ClientAuthenticator) -> None:
        if isinstance(message, m.NegotiateProtocolVersion):
            self.version = accept_negotiation(asked, message)
        elif isinstance(message, m.BackendKeyData):
            self.key = message
        elif isinstance(message, m.ParameterStatus):
            self.parameters[message.name] = message.value
        elif isinstance(message, m.AuthenticationMessage) and (reply := login.receive(message)) is not None:
            self.send(reply)

    def send(self, *messages: m.FrontendMessage) -> None:
        """Send those that the state lets out."""
        wire = b"".join([serialize(message) for message in messages if self.state.send(message) is Sent.FORWARD])
        self.socket.sendall(wire)

    def receive(self) -> m.BackendMessage:
        """Return the next message."""
        while not self._frames:
            data = self.socket.recv(65536)
            assert data, "the server closed the connection"
            self.heard += data
            for event in self.reader.receive_data(data):
                assert isinstance(event, Frame)
                self._frames.append(event)
        frame = self._frames.popleft()
        message = parse_backend(frame.type, frame.payload)
        assert serialize(message) == frame.raw
        self.state.receive(message)
        return message

    def until(self, is_last: Callable[[m.BackendMessage], bool]) -> list[m.BackendMessage]:
        """Return the messages up to the last one."""
        messages = [self.receive()]
        while not is_last(messages[-1]):
            messages.append(self.receive())
        return messages

    def until_ready(self) -> list[m.BackendMessage]:
        """Return the messages up to ReadyForQuery."""
        return self.until(lambda message: isinstance(message, m.ReadyForQuery))

    def query(self, sql: str) -> list[m.BackendMessage]:
        """Run a simple query."""
        self.send(m.Query(sql.encode()))
        return self.until_ready()


def fetch(client: PgClient, sql: str) -> list[tuple[bytes | None, ...]]:
    """Return the rows of a query that must not fail."""
    messages = client.query(sql)
    assert not [message for message in messages if isinstance(message, m.ErrorResponse)], messages
    return [message.values for message in messages if isinstance(message, m.DataRow)]
