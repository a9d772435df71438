"""A door of a pool in front of the server of the fixtures, and clients that knock."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.clients.tls import ClientTls, ClientTlsMode, make_client_tls
from longshore.pool.model import Database
from longshore.pool.pools import Pools
from longshore.pool.servers.target import Target
from longshore.proto.postgres import messages as m
from longshore.proto.postgres.auth import Md5Hash, PlainPassword
from longshore.proto.postgres.auth_client import ClientAuthenticator, Credentials
from longshore.proto.postgres.channel_binding import server_end_point
from longshore.proto.postgres.constants import PROTOCOL_3_0
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.serialize import serialize, serialize_startup
from tests.server_process import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import trustme

    from longshore.pool.clients.door import RefusedLogin
    from longshore.pool.clients.limits import ClientLimits
    from longshore.proto.postgres.scram import ScramKeys

__all__ = ["DoorRig", "Knock", "Refused", "a_target", "client_context", "door_on", "pool_tls"]

LIMIT_S = 20.0


class DoorRig:
    """A listening door.

    Attributes:
        port: where it listens.
        refused: who was not let in.
    """

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.port = 0
        self.refused: list[RefusedLogin] = []


def a_target(port: int, user: str = "postgres", database: str = "postgres", **values: object) -> Target:
    """Return a target on the loopback."""
    return Target(host=HOST, port=port, user=user, database=database, **values)  # type: ignore[arg-type]


@asynccontextmanager
async def door_on(
    target: Target | Sequence[Database],
    *,
    limits: ClientLimits | None = None,
    make: Callable[[Pools], dict[str, object]] = lambda _: {},
    **values: object,
) -> AsyncIterator[DoorRig]:
    """Listen.

    Args:
        target: of the database ``*``, or all databases.
        limits: of the pools.
        make: returns more fields of the door, when the pools are there.
        values: fields of the door.
    """
    databases = [Database(name="*", target=target)] if isinstance(target, Target) else target
    pools = Pools(databases, limits=limits)
    rig = DoorRig(pools)
    door = ClientDoor(pools=pools, on_refused=rig.refused.append, **values, **make(pools))  # type: ignore[arg-type]
    server = await asyncio.get_running_loop().create_server(lambda: ClientStart(door), HOST, 0)
    rig.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield rig
    finally:
        await pools.aclose()
        for _ in range(3):  # transports say good-bye a turn later, those with TLS two
            await asyncio.sleep(0)


def pool_tls(
    authority: trustme.CA, mode: ClientTlsMode = ClientTlsMode.PREFER, client_ca: trustme.CA | None = None
) -> ClientTls:
    """Return TLS with a certificate for the loopback."""
    issued = authority.issue_cert("localhost", HOST)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    client = None if client_ca is None else client_ca.cert_pem.bytes()
    return make_client_tls(chain, issued.private_key_pem.bytes(), mode=mode, client_ca=client)


def client_context(authority: trustme.CA, *, alpn: tuple[str, ...] = ("postgresql",)) -> ssl.SSLContext:
    """Return the context of a client that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Refused(Exception):
    """The pool said no."""

    def __init__(self, error: m.ErrorResponse) -> None:
        super().__init__(f"{error.sqlstate}: {error.message} ({error.hint})")
        self.error = error


async def _open_unix(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(path)


class Knock:
    """One client that logs in.

    Args:
        port: of the pool.
        path: of a Unix socket instead.
    """

    def __init__(self, port: int, *, path: str | None = None) -> None:
        self._port = port
        self._path = path
        self._frames = backend_reader(max_whole_bytes=1 << 26)
        self._waiting: list[Frame] = []
        self.asked: list[type] = []
        """What the pool asked for."""
        self.negotiated: m.NegotiateProtocolVersion | None = None
        self.key = m.BackendKeyData(0, b"")

    async def __aenter__(self) -> Self:
        opened = asyncio.open_connection(HOST, self._port) if self._path is None else _open_unix(self._path)
        self.reader, self.writer = await opened
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.writer.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Return all up to the end of the connection."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read()

    async def start_tls(self, context: ssl.SSLContext, *, is_direct: bool = False) -> None:
        """Encrypt."""
        if not is_direct:
            self.send(serialize_startup(m.SSLRequest()))
            assert await self.reader.readexactly(1) == b"S"
        async with asyncio.timeout(LIMIT_S):
            await self.writer.start_tls(context, server_hostname=HOST)

    async def log_in(
        self,
        user: str,
        secret: str | ScramKeys | Md5Hash | None = None,
        *,
        database: str = "postgres",
        version: int = PROTOCOL_3_0,
        **parameters: str,
    ) -> Knock:
        """Send a StartupMessage and answer what is asked; return when ReadyForQuery has come.

        Raises:
            Refused: the pool let nobody in.
            EOFError: it closed without a word.
        """
        pairs = {"user": user, "database": database, **parameters}
        encoded = tuple((name.encode(), value.encode()) for name, value in pairs.items())
        self.send(serialize_startup(m.StartupMessage(encoded, version)))
        known = PlainPassword(secret.encode()) if isinstance(secret, str) else secret
        encrypted = self.writer.get_extra_info("ssl_object")
        binding = None if encrypted is None else server_end_point(encrypted.getpeercert(True))
        auth = ClientAuthenticator(Credentials(user.encode(), known), nonce=b"nonce" * 4, binding=binding)
        while True:
            message = await self.message()
            if isinstance(message, m.ErrorResponse):
                raise Refused(message)
            if isinstance(message, m.NegotiateProtocolVersion):
                self.negotiated = message
            elif isinstance(message, m.BackendKeyData):
                self.key = message
            elif isinstance(message, m.ReadyForQuery):
                return self
            elif type(message).__name__.startswith("Authentication"):
                self.asked.append(type(message))
                answer = auth.receive(message)  # type: ignore[arg-type]  # by its name
                if answer is not None:
                    self.send(serialize(answer))

    async def message(self) -> m.BackendMessage:
        """Return the next message."""
        while not self._waiting:
            async with asyncio.timeout(LIMIT_S):
                data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self._waiting += (each for each in self._frames.receive_data(data) if isinstance(each, Frame))
        frame = self._waiting.pop(0)
        return parse_backend(frame.type, frame.payload)

    async def value(self, text: str) -> str | None:
        """Return the only value of a query."""
        self.send(serialize(m.Query(text.encode())))
        found: str | None = None
        while not isinstance(message := await self.message(), m.ReadyForQuery):
            if isinstance(message, m.ErrorResponse):
                raise Refused(message)
            if isinstance(message, m.DataRow):
                value = message.values[0]
                found = None if value is None else value.decode()
        return found
