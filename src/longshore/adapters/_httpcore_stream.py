"""``SocketNetworkStream``: a socket as httpcore's network stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longshore.errors import ConnectError, ConnectTimeout, PolicyDenied, ResolveError, SocketError, UsageError

try:
    import httpcore
except ImportError as exc:
    raise ImportError("longshore.adapters.httpcore_backend needs httpx: pip install longshore[httpx]") from exc

if TYPE_CHECKING:
    import ssl

    from longshore.sockets._held import HeldSocket

__all__ = ["SOCKET_ERROR", "SocketNetworkStream", "failure", "time_is_up"]

SOCKET_ERROR = "_longshore_socket_error"
"""Name of the attribute by which an error of httpcore has ours."""

# A request that httpcore gave up half-way is not flushed at all; other bytes are few.
CLOSE_TIMEOUT_S = 5.0


class SocketNetworkStream(httpcore.AsyncNetworkStream):
    """One connection of httpcore.

    Args:
        held: an open socket.
    """

    def __init__(self, held: HeldSocket) -> None:
        self._held = held
        self._write_is_whole = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, or ``b""`` when the peer has ended.

        Raises:
            httpcore.ReadTimeout: nothing came within ``timeout`` seconds.
            httpcore.ReadError: the connection failed.

        Cancellation: safe; no byte is lost.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._held.reader.read(max_bytes)
        except SocketError as exc:
            raise failure(exc, httpcore.ReadError) from exc
        except TimeoutError as exc:
            raise time_is_up(httpcore.ReadTimeout, "read", timeout) from exc

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send ``buffer``; wait while the peer does not take it.

        Raises:
            httpcore.WriteTimeout: it could not be taken within ``timeout`` seconds.
            httpcore.WriteError: the connection failed.

        Cancellation: ``buffer`` was taken whole or not at all.
        """
        if not buffer:
            return
        self._write_is_whole = False
        try:
            async with asyncio.timeout(timeout):
                await self._held.writer.write(buffer)
        except SocketError as exc:
            raise failure(exc, httpcore.WriteError) from exc
        except TimeoutError as exc:
            raise time_is_up(httpcore.WriteTimeout, "write", timeout) from exc
        self._write_is_whole = True

    async def aclose(self) -> None:
        """Flush, bounded in time, and close; after a write that was broken off, reset.

        Cancellation: resets the connection.
        """
        socket = self._held.socket
        if not self._write_is_whole:
            socket.abort("a write was broken off")
        try:
            await socket.close(timeout_s=CLOSE_TIMEOUT_S)
        except SocketError:
            pass  # whoever was reading or writing has met it
        except asyncio.CancelledError:
            socket.abort("closing was cancelled")
            raise

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> SocketNetworkStream:
        """Upgrade to TLS; inside TLS (an HTTPS proxy's), start TLS once more. This stream is over then.

        Raises:
            httpcore.ConnectTimeout: the handshake took more than ``timeout`` seconds.
            httpcore.ConnectError: the handshake failed.

        Cancellation: resets the connection.
        """
        if timeout is not None and timeout <= 0:
            self._held.socket.abort("no time is left for the handshake")
            raise time_is_up(httpcore.ConnectTimeout, "TLS handshake", timeout)
        try:
            held = self._held.start_tls(ssl_context, server_name=server_hostname, timeout_s=timeout)
        except UsageError as exc:
            self._held.socket.abort(exc)  # httpcore does not close what it cannot use
            raise failure(exc, httpcore.ConnectError) from exc
        try:
            await held.socket.opened
        except SocketError as exc:
            raise failure(exc, httpcore.ConnectError) from exc
        except BaseException:
            held.socket.abort("its handshake was cancelled")
            raise
        return SocketNetworkStream(held)

    def get_extra_info(self, info: str) -> Any:
        """Return ``ssl_object``, ``client_addr``, ``server_addr``, ``socket`` or ``is_readable``; None for others."""
        extra = self._held.extra
        match info:
            case "client_addr":
                return extra.get("sockname")
            case "server_addr":
                return extra.get("peername")
            case "is_readable":
                return extra.is_readable
            case "ssl_object" | "socket":
                return extra.get(info)
            case _:
                return None


def failure(
    error: SocketError, otherwise: type[httpcore.NetworkError]
) -> httpcore.NetworkError | httpcore.TimeoutException:
    """Return httpcore's error for ours; a socket that never connected says so also to a read or a write."""
    mapped: httpcore.NetworkError | httpcore.TimeoutException
    if isinstance(error, ConnectTimeout):
        mapped = httpcore.ConnectTimeout(str(error))
    elif isinstance(error, (ConnectError, ResolveError, PolicyDenied)):
        mapped = httpcore.ConnectError(str(error))
    else:
        mapped = otherwise(str(error))
    # httpcore closes the socket while it handles this one: that raises `error` once more, and Python then cuts the
    # chain of contexts, which would be a circle.
    setattr(mapped, SOCKET_ERROR, error)
    return mapped


def time_is_up(kind: type[httpcore.TimeoutException], what: str, timeout_s: float | None) -> httpcore.TimeoutException:
    """Return the error of a ``what`` that took more than ``timeout_s``."""
    return kind(f"no {what} within {timeout_s} s")
