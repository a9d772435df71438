"""Dialers for tests: one that connects to nobody, and one that sends names to local servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, final

from longshore.abc import Connection, Dialer
from longshore.core.addresses import SocketAddress
from longshore.core.info import SocketInfo
from longshore.errors import ConnectError, ConnectTimeout
from longshore.net.dial import DirectDialer
from longshore.testing.memory import DEFAULT_CAPACITY_BYTES, MemoryStream, memory_stream_pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.abc import DialRequest
    from longshore.core.tls_options import TlsRequest

__all__ = ["MemoryDialer", "RoutedDialer"]


@final
class MemoryDialer:
    """A ``Dialer`` that hands out memory streams; the test holds the far ends.

    ::

        dialer = MemoryDialer()
        socket = connect("db.example:5432", dialer=dialer)
        server = StreamDriver(await dialer.accept())

    Args:
        capacity_bytes: how much each direction of a stream holds.
    """

    def __init__(self, *, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._requests: list[DialRequest] = []
        self._accepted: asyncio.Queue[MemoryStream] = asyncio.Queue()
        self._error: Exception | None = None
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    @property
    def requests(self) -> tuple[DialRequest, ...]:
        """Every request so far, in order, whatever became of it."""
        return tuple(self._requests)

    def fail_with(self, error: Exception | None) -> None:
        """Let every later ``dial`` raise ``error``; None lets them succeed again."""
        self._error = error

    def hang(self) -> None:
        """Let every later ``dial`` wait until ``release()``, as with a host that does not answer."""
        self._may_go_on.clear()

    def release(self) -> None:
        """Let those that hang go on, to success or to the error of ``fail_with``."""
        self._may_go_on.set()

    async def accept(self) -> MemoryStream:
        """Return the far end of the next connection, in the order in which they were made.

        Cancellation: safe.
        """
        return await self._accepted.get()

    async def dial(self, request: DialRequest) -> Connection:
        """Make a connection in memory, with a real TLS handshake when the request asks for one.

        Raises:
            Exception: what ``fail_with`` was given.
            ConnectTimeout: it hung for ``request.timeout_s``.
            TlsError, ResetError: the handshake failed.

        Cancellation: safe.
        """
        self._requests.append(request)
        timeout = asyncio.timeout(request.timeout_s)
        try:
            async with timeout:
                await self._may_go_on.wait()
                return await self._connect(request)
        except TimeoutError as exc:
            if not timeout.expired() or request.timeout_s is None:
                raise
            message = f"no connection to {request.address} within {request.timeout_s} s: the test lets it hang"
            raise ConnectTimeout(message, address=str(request.address), timeout_s=request.timeout_s) from exc

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a real client handshake over the memory stream (see ``Dialer.start_tls``).

        Raises:
            TlsError, ResetError, ConnectTimeout.

        Cancellation: closes the connection.
        """
        return await DirectDialer().start_tls(connection, tls)

    async def _connect(self, request: DialRequest) -> Connection:
        if self._error is not None:
            raise self._error
        address = str(request.address)
        near, far = memory_stream_pair(capacity_bytes=self._capacity_bytes, names=("the client", address))
        self._accepted.put_nowait(far)
        connection = Connection(near, SocketInfo(remote_address=address))
        return connection if request.tls is None else await self.start_tls(connection, request.tls)


@final
class RoutedDialer:
    """A ``Dialer`` that sends named destinations to other addresses, for running programs offline.

    The program keeps its real names. Only the TCP connection goes elsewhere: SNI and the certificate
    check still use the name that the program gave.

    Args:
        routes: from the destination, ``"gopher.example:70"``, to where it is really served,
            ``"127.0.0.1:7070"``; both in any spelling that ``connect()`` takes as text.
        dialer: makes the connections; ``DirectDialer()`` by default. A policy it has judges the
            routed address, not the name.
        pass_through: True lets destinations without a route through unchanged; False refuses them with
            ``ConnectError``, so that no test reaches the network by mistake.

    Raises:
        ArgumentTypeError, ArgumentValueError: a route is no valid address.
    """

    def __init__(self, routes: Mapping[str, str], dialer: Dialer | None = None, *, pass_through: bool = False) -> None:
        self._routes = {SocketAddress.parse(name): SocketAddress.parse(target) for name, target in routes.items()}
        self._dialer: Dialer = dialer if dialer is not None else DirectDialer()
        self._pass_through = pass_through

    async def dial(self, request: DialRequest) -> Connection:
        """Connect to where the route points.

        Raises:
            ConnectError: there is no route for the destination, or nobody accepted.
            ResolveError, ConnectTimeout, PolicyDenied, TlsError, ResetError: as the dialer underneath.

        Cancellation: as the dialer underneath.
        """
        target = self._routes.get(request.address)
        if target is None and not self._pass_through:
            raise self._no_route(request.address)
        return await self._dialer.dial(replace(request, address=target or request.address))

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make a handshake through the dialer underneath (see ``Dialer.start_tls``).

        Raises:
            TlsError, ResetError, ConnectTimeout.

        Cancellation: closes the connection.
        """
        return await self._dialer.start_tls(connection, tls)

    def _no_route(self, address: SocketAddress) -> ConnectError:
        known = ", ".join(str(name) for name in self._routes) or "none"
        message = f"cannot connect to {address}: RoutedDialer has no route for it; its routes are: {known}"
        return ConnectError(message, address=str(address))
