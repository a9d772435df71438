"""asyncio's arguments of a connection, as options of ``connect()``."""

from __future__ import annotations

import ssl as ssl_module
from typing import TYPE_CHECKING, Any

from longshore.core.shown import shown
from longshore.core.tls_options import TlsOptions
from longshore.errors import ArgumentTypeError, ArgumentValueError
from longshore.sockets._connect import connect

if TYPE_CHECKING:
    from longshore.abc import Dialer
    from longshore.sockets._socket import Socket

__all__ = ["open_socket"]


async def open_socket(
    host: str,
    port: int,
    *,
    ssl: ssl_module.SSLContext | bool | None,
    server_hostname: str | None,
    local_addr: tuple[str, int] | None,
    dialer: Dialer | None,
    options: dict[str, Any],
) -> Socket:
    """Return an open socket; the arguments are those of ``create_connection()``.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument is wrong.
        SocketError: the connection failed.

    Cancellation: safe; the connection is given up.
    """
    given: dict[str, Any] = {"allow_half_open": True, **_tls_options(ssl, server_hostname), **options}
    socket = connect((host, port), local_address=local_addr, dialer=dialer, **given)
    try:
        await socket.opened
    except BaseException:
        socket.abort()
        raise
    return socket


def _tls_options(ssl: object, server_hostname: str | None) -> dict[str, Any]:
    if ssl is None or ssl is False:
        if server_hostname is not None:
            raise ArgumentValueError(f"server_hostname={shown(server_hostname)} needs ssl=True or an SSLContext")
        return {"secure_transport": "starttls"}
    if ssl is True:
        return {"secure_transport": "on", "sni": server_hostname}
    if not isinstance(ssl, ssl_module.SSLContext):
        raise ArgumentTypeError(f"ssl={shown(ssl)} must be None, a bool or an ssl.SSLContext")
    return {"secure_transport": "on", "sni": server_hostname, "tls": TlsOptions(context=ssl)}
