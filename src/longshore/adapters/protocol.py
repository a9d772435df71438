"""``create_connection()``: drives an ``asyncio.Protocol`` over ``connect()``, for drivers that bring one.

What holds on every loop, and does not with asyncio's own transports:

* ``connection_lost(error)`` gets the ``SocketError`` that ended the connection; None only after a clean end, or when
  this side called ``close()`` or ``abort()``. A reset and a cut TLS stream never look like an end-of-file (rule K5).
* Returning True from ``eof_received`` keeps the write side open under TLS too, and ``write_eof()`` works there.
* A reset is noticed while reading is paused; what had arrived before it is still delivered on ``resume_reading()``.
* ``start_tls()`` loses nothing, and refuses bytes that came before the handshake (rule K9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from longshore.adapters._arguments import open_socket
from longshore.adapters._protocol_transport import ProtocolTransport
from longshore.errors import ArgumentTypeError

if TYPE_CHECKING:
    import asyncio
    import ssl as ssl_module
    from collections.abc import Callable

    from longshore.abc import Dialer

__all__ = ["ProtocolTransport", "create_connection", "start_tls"]

P = TypeVar("P", bound="asyncio.BaseProtocol")


async def create_connection(
    protocol_factory: Callable[[], P],
    host: str,
    port: int,
    *,
    ssl: ssl_module.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    local_addr: tuple[str, int] | None = None,
    dialer: Dialer | None = None,
    **options: Any,
) -> tuple[ProtocolTransport, P]:
    """Connect as ``loop.create_connection()`` does; names of arguments are asyncio's.

    Args:
        protocol_factory: makes an ``asyncio.Protocol`` or ``asyncio.BufferedProtocol``; called when connected.
        host: a name or an IP literal.
        port: 1 to 65535.
        ssl: None for plaintext (``start_tls()`` is possible), True for TLS with the system's trust, or a context.
        server_hostname: to verify and to send instead of ``host``.
        local_addr: IP literal and port to connect from.
        dialer: who connects; None for the program's default.
        **options: of ``connect()``, for example ``connect_timeout_s`` or ``keep_alive_s``.

    Returns:
        The transport and the protocol; ``connection_made`` has been called.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument is wrong.
        SocketError: the connection failed; every class but ``ResolveError`` and ``TlsError`` is an ``OSError`` too.
        Exception: what ``protocol_factory`` or ``connection_made`` raised; the connection is reset then.

    Cancellation: safe; the connection is given up.
    """
    socket = await open_socket(
        host,
        port,
        ssl=ssl,
        server_hostname=server_hostname,
        local_addr=local_addr,
        dialer=dialer,
        options=options,
    )
    try:
        protocol = protocol_factory()
        transport = ProtocolTransport(socket, protocol)
        transport.start()
    except BaseException:
        socket.abort()
        raise
    return transport, protocol


async def start_tls(
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl_module.SSLContext,
    *,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
) -> ProtocolTransport:
    """Upgrade a connection as ``loop.start_tls()`` does, on any loop; inside TLS, start TLS once more.

    Args:
        transport: from ``create_connection()``.
        protocol: driven from now on; its ``connection_made`` is not called.
        sslcontext: used as it is.
        server_hostname: to verify and to send; None for the host that was connected.
        ssl_handshake_timeout: bound in seconds; None for the ``connect_timeout_s`` of the connection.

    Returns:
        The transport to go on with: the same one, upgraded in place.

    Raises:
        ArgumentTypeError: ``transport`` is not from ``create_connection()``.
        UsageError: the connection is closing, a writer is being held back, or the peer has sent bytes that the protocol
            has not received yet; nothing has changed then.
        TlsError, ResetError, ConnectTimeout: the handshake failed; ``connection_lost`` gets the same.

    Cancellation: resets the connection.
    """
    if not isinstance(transport, ProtocolTransport):
        raise ArgumentTypeError(f"transport {transport!r} must be one that create_connection() returned")
    await transport.upgrade(protocol, sslcontext, server_hostname, ssl_handshake_timeout)
    return transport
