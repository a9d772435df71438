"""The start of a connection to a database: encrypted or not, before anything else is said (shell)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.errors import SocketError
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.login_failed import LoginFailed
from longshore.pool.servers.target import TlsMode, unix_path
from longshore.pool.servers.tls import ALPN, tls_failure, upstream_context
from longshore.pool.servers.tls_transport import TlsTransport
from longshore.proto.postgres.frontend_messages import SSLRequest
from longshore.proto.postgres.serialize import serialize_startup

if TYPE_CHECKING:
    import ssl

    from longshore.pool.servers.dialing import ServerDialer
    from longshore.pool.servers.target import UpstreamTls

__all__ = ["open_transport", "shown_place"]


def shown_place(host: str, port: int) -> str:
    """Return a host and port as a person writes them."""
    return unix_path(host, port) or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def open_transport(
    host: str, port: int, tls: UpstreamTls, dialer: ServerDialer = DIRECT, *, server_name: str | None = None
) -> asyncio.Transport:
    """Connect, and encrypt as ``tls`` says; give the transport a protocol with ``set_protocol`` at once.

    Args:
        host: name, address, or folder of a Unix socket.
        port: likewise.
        tls: how.
        dialer: opens the connection.
        server_name: whose certificate is expected, if ``host`` does not say it.

    Raises:
        LoginFailed: nobody is there, or TLS is not possible.

    Cancellation: closes the connection.
    """
    loop = asyncio.get_running_loop()
    place = shown_place(host, port)
    path = unix_path(host, port)
    # Nothing on the way from one process of a machine to another can be listened to: as libpq has it.
    is_plain = tls.mode is TlsMode.DISABLE or path is not None
    start = _Start(place, server_name or host, tls, None if is_plain else upstream_context(tls))
    try:
        if path is not None:
            await loop.create_unix_connection(lambda: start, path)
        else:
            await loop.create_connection(lambda: start, sock=await dialer.dial(host, port))
    except OSError as exc:
        raise LoginFailed(_refused(place, exc)) from exc
    try:
        return await start.wait()
    except BaseException:
        start.abort()
        raise


def _refused(place: str, exc: OSError) -> str:
    """Return what to say when nobody takes the connection; errors of ``net`` name the place themselves."""
    said = exc.message if isinstance(exc, SocketError) else f"cannot connect to {place}: {exc.strerror or exc}"
    if isinstance(exc.__cause__ or exc, (ConnectionRefusedError, FileNotFoundError)):
        return f"{said}; is the database running there, and does it listen on this address?"
    return said


class _Start(asyncio.Protocol):
    """Asks for TLS, and makes it."""

    def __init__(self, place: str, host: str, tls: UpstreamTls, context: ssl.SSLContext | None) -> None:
        self._place = place
        self._host = host
        self._tls = tls
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self._is_lost = False

    async def wait(self) -> asyncio.Transport:
        """Wait for the transport.

        Raises:
            LoginFailed: there is none.

        Cancellation: call ``abort``.
        """
        transport = await self._ready
        if self._is_lost:
            raise LoginFailed(f"{self._place} closed the connection before the login")
        return transport

    def abort(self) -> None:
        """Close everything."""
        self._ready.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, or begin."""
        self._transport = transport  # type: ignore[assignment]  # uvloop has classes of its own
        if self._context is None:
            self._ready.set_result(self._transport)  # type: ignore[arg-type]  # set above
        elif self._tls.is_direct:
            self._handshake()
        else:
            self._transport.write(serialize_startup(SSLRequest()))  # type: ignore[union-attr]  # likewise

    def data_received(self, data: bytes) -> None:
        """Take the answer to SSLRequest: one byte, and nothing behind it (CVE-2021-23222)."""
        if self._ready.done():
            return
        if data == b"S":
            self._handshake()
        elif data == b"N" and self._tls.mode is TlsMode.PREFER:
            assert self._transport is not None
            self._ready.set_result(self._transport)
        elif data == b"N":
            step = "set ssl = on in its postgresql.conf, or use the mode 'prefer'"
            self._fail(f"{self._place} does not offer TLS, but the mode is {self._tls.mode.value!r}; {step}")
        elif data[:1] == b"S":
            self._fail(f"{self._place} sent data before the TLS handshake, which somebody may have put in")
        else:
            self._fail(f"{self._place} does not answer like PostgreSQL; is it the right port?")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail."""
        self._is_lost = True
        why = f": {exc}" if exc is not None else ""
        self._fail(f"{self._place} closed the connection before the login{why}")

    def _handshake(self) -> None:
        assert self._transport is not None
        assert self._context is not None
        tls = TlsTransport(
            self._transport,
            self,
            self._context,
            is_server=False,
            server_name=self._host,
            on_established=self._established,
            on_failed=self._handshake_failed,
        )
        self._transport = tls
        tls.start()

    def _established(self, transport: TlsTransport) -> None:
        alpn = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        if self._tls.is_direct and alpn != ALPN:
            # Without it, another kind of server with the same certificate could be made to answer (ALPACA).
            self._fail(
                f"{self._place} took direct TLS without ALPN {ALPN!r}; sslnegotiation=direct needs PostgreSQL 17"
            )
        elif not self._ready.done():
            self._ready.set_result(transport)

    def _handshake_failed(self, error: ssl.SSLError) -> None:
        if not self._ready.done():
            self._ready.set_exception(tls_failure(error, self._place, self._tls.mode))
            self._ready.exception()  # who waits for it may be gone

    def _fail(self, reason: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(LoginFailed(reason))
            self._ready.exception()  # who waits for it may be gone
        if self._transport is not None:
            self._transport.abort()
