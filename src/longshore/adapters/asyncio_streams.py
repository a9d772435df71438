"""``open_connection()``: asyncio's streams over ``connect()``.

The pair is that of ``Socket.as_asyncio_streams()``: a real ``StreamReader`` and ``StreamWriter`` that pull, that
never report a failure as end-of-file, and that half-close under TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.adapters._arguments import open_socket

if TYPE_CHECKING:
    import asyncio
    import ssl as ssl_module

    from longshore.abc import Dialer

__all__ = ["open_connection"]


async def open_connection(
    host: str,
    port: int,
    *,
    limit: int = 65536,
    ssl: ssl_module.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    local_addr: tuple[str, int] | None = None,
    dialer: Dialer | None = None,
    **options: Any,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as ``asyncio.open_connection()`` does; names of arguments are asyncio's.

    Args:
        host: a name or an IP literal.
        port: 1 to 65535.
        limit: the longest line, in bytes.
        ssl: None for plaintext (``writer.start_tls()`` works), True for TLS with the system's trust, or a context.
        server_hostname: to verify and to send instead of ``host``.
        local_addr: IP literal and port to connect from.
        dialer: who connects; None for the program's default.
        **options: of ``connect()``, for example ``connect_timeout_s`` or ``keep_alive_s``.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument is wrong.
        SocketError: the connection failed; every class but ``ResolveError`` and ``TlsError`` is an ``OSError`` too.

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
        return socket.as_asyncio_streams(limit_bytes=limit)
    except BaseException:
        socket.abort()
        raise
