"""The HTTP client behind ``fetch()``: httpx's transport over ``connect()``, one for each event loop.

It is a transport and not a client of httpx, so there is nothing that could leak from one request to another: no cookie
jar, no proxies or passwords from the environment, no default headers. Imported when the first ``fetch()`` is made.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin, urlsplit

import httpx

from longshore.adapters.httpcore_backend import httpx_transport, socket_error_of
from longshore.core.shown import shown
from longshore.core.tls_options import TlsOptions
from longshore.net.tls_context import client_context
from longshore.sockets._options import DEFAULT_CONNECT_TIMEOUT_S
from longshore.workers._bound_dialer import BoundDialer
from longshore.workers._context import connecting_via
from longshore.workers._url import normalize_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from longshore.sockets._readable import ReadableStream
    from longshore.workers._headers import RawHeaders

__all__ = ["aclose_clients", "close_response", "failure_of", "parse_url", "resolve", "send", "tls_context"]

# Servers commonly close idle connections after 5 seconds or later; httpcore looks before it uses one again.
KEEP_ALIVE_S = 30.0
MAX_IDLE_CONNECTIONS = 100
READ_BYTES = 65536
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
# Only connecting is bounded, as everywhere in this library; for the rest there are ``signal`` and asyncio.timeout().
TIMEOUT = {"connect": DEFAULT_CONNECT_TIMEOUT_S, "read": None, "write": None, "pool": None}

_Transports = dict[str | None, httpx.AsyncHTTPTransport]
_transports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Transports] = weakref.WeakKeyDictionary()
"""By event loop, then by binding: a connection that was made with a certificate is for nothing else."""


async def send(
    method: str, url: httpx.URL, headers: RawHeaders, body: bytes | ReadableStream | None, binding: str | None = None
) -> httpx.Response:
    """Send one request and return its response, whose stream is not read yet.

    Args:
        method: as it goes out.
        url: from ``parse_url``.
        headers: without ``Host``.
        body: bytes go with their length; a stream in chunks, unless ``headers`` say how long it is.
        binding: whose credentials to use; its connections are kept apart from all others.

    Raises:
        OSError: there is no answer; a ``SocketError`` where ``connect()`` or the connection failed.

    Cancellation: the connection is given up.
    """
    raw = [(b"host", url.netloc), *headers]
    if body is None:
        if method in ("POST", "PUT", "PATCH"):
            raw.append((b"content-length", b"0"))
    elif isinstance(body, bytes):
        raw.append((b"content-length", str(len(body)).encode()))
    elif not any(name == b"content-length" for name, _ in headers):
        raw.append((b"transfer-encoding", b"chunked"))
    is_repeatable = method in IDEMPOTENT and (body is None or isinstance(body, bytes))
    token = connecting_via.set("fetch()")
    failure: OSError | None = None
    try:
        while failure is None:
            connection = _Connection()
            extensions = {"timeout": TIMEOUT, "trace": connection.trace}
            request = httpx.Request(method, url, headers=raw, stream=_Upload(body), extensions=extensions)
            try:
                return await _transport(binding).handle_async_request(request)
            except httpx.TransportError as exc:
                # RFC 9112 §9.3.1: the server may close a kept connection in the very moment in which it is used again.
                # It is out of the pool now, so this ends.
                if not (is_repeatable and not connection.is_new and isinstance(exc, LOST)):
                    failure = failure_of(exc, url)
    finally:
        connecting_via.reset(token)
    raise failure  # not inside the block above: its cause is the whole story, and the context would repeat it


async def aclose_clients() -> None:
    """Close the connections that this event loop's ``fetch()`` keeps; those in use end with an error.

    Cancellation: resets what is not closed yet.
    """
    for transport in _transports.pop(asyncio.get_running_loop(), {}).values():
        await transport.aclose()


async def close_response(response: httpx.Response) -> None:
    """Give the connection of ``response`` up, or back when it was read to its end.

    Cancellation: resets the connection.
    """
    try:
        await response.aclose()
    except (httpx.HTTPError, OSError):
        pass  # nobody asks how it ended


def parse_url(text: str) -> httpx.URL:
    """Return the URL of a request.

    Raises:
        TypeError: it is none, or not one that can be fetched.
    """
    normal = normalize_url(text)
    try:
        return httpx.URL(normal)
    except httpx.InvalidURL as exc:
        raise TypeError(f"url {shown(text)} is not valid: {exc}") from exc


def resolve(url: httpx.URL, location: str) -> httpx.URL:
    """Return where a redirect from ``url`` leads; it keeps the fragment (RFC 9110 §10.2.2).

    Raises:
        OSError: that is no URL, or not one that can be fetched.
    """
    try:
        is_absolute = urlsplit(location).scheme in ("http", "https")
        target = parse_url(location if is_absolute else urljoin(str(url), location))
    except (TypeError, ValueError) as exc:
        raise OSError(f"fetch of {place(url)} failed: it redirects to {shown(location)}: {exc}") from exc
    return target if target.fragment or not url.fragment else target.copy_with(fragment=url.fragment)


def failure_of(error: Exception, url: httpx.URL) -> OSError:
    """Return the ``OSError`` that ``fetch()`` raises for an error of httpx."""
    # mypy holds that nothing is both a SocketError and an OSError.
    ours = cast("BaseException | None", socket_error_of(error))
    if isinstance(ours, OSError):
        return ours
    reason = str(ours or error) or type(error).__name__
    kind: type[OSError] = TimeoutError if isinstance(error, httpx.TimeoutException) else OSError
    failure = kind(f"fetch of {place(url)} failed: {reason[:1].lower()}{reason[1:].rstrip('.')}")
    failure.__cause__ = ours or error
    return failure


def tls_context() -> ssl.SSLContext:
    """Return what trusts the system's authorities: made once, for reading them takes tens of milliseconds."""
    # httpcore writes its ALPN into the context, so this one is not shared with connect()'s own.
    return client_context(TlsOptions(), ("http/1.1",))


def place(url: httpx.URL) -> str:
    """Return ``url`` for a message: without its query, which may hold a secret."""
    return repr(f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"[:200])


def _transport(binding: str | None) -> httpx.AsyncHTTPTransport:
    transports = _transports.setdefault(asyncio.get_running_loop(), {})
    transport = transports.get(binding)
    if transport is None:
        limits = httpx.Limits(max_keepalive_connections=MAX_IDLE_CONNECTIONS, keepalive_expiry=KEEP_ALIVE_S)
        # The host makes the handshake for a binding: what to offer in it, httpcore's context cannot tell.
        dialer = None if binding is None else BoundDialer(binding, ("http/1.1",))
        transport = httpx_transport(verify=tls_context(), trust_env=False, limits=limits, dialer=dialer)
        transports[binding] = transport
    return transport


class _Connection:
    """Sees whether a request got a new connection or a kept one."""

    __slots__ = ("is_new",)

    def __init__(self) -> None:
        self.is_new = False

    async def trace(self, event: str, _: object) -> None:
        """Take word of what httpcore does."""
        if event == "connection.connect_tcp.started":
            self.is_new = True


class _Upload(httpx.AsyncByteStream):
    """A body as httpx sends it.

    Args:
        body: bytes, or a stream, which is read once and cancelled when it cannot be sent.
    """

    def __init__(self, body: bytes | ReadableStream | None) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body: Any = self._body
        if isinstance(body, bytes):
            yield body
        elif body is not None:
            reader = body.get_reader()
            try:
                while chunk := await reader.read(READ_BYTES):
                    yield chunk
            except BaseException as exc:
                await reader.cancel(exc)
                raise
