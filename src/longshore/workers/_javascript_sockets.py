"""``cloudflare:sockets`` for code that was written for it: ``connect()`` and a ``Socket`` in camelCase.

It is a thin coat over ``longshore.connect()``. New code uses that directly, which has typed errors, options and
Python's names. Where code may match on a sentence of Cloudflare's runtime, that is raised, and ours is its cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.core.addresses import SocketAddress
from longshore.errors import ArgumentTypeError, ArgumentValueError, UsageError
from longshore.sockets._connect import connect as python_connect
from longshore.workers._javascript_promise import JsError, JsPromise, derived, js_error
from longshore.workers._javascript_streams import JsReadableStream, JsWritableStream

if TYPE_CHECKING:
    from longshore.core.info import SocketInfo
    from longshore.sockets._socket import Socket

__all__ = ["JsSocket", "JsSocketInfo", "connect"]

MAX_PORT = 65535
UNPARSED = "Specified address could not be parsed."
NO_HOSTNAME = "Specified address is missing hostname."
NO_PORT = "Specified address is missing port."
BAD_HOST = "Specified address is empty string, contains unsupported characters or is too long."
PORT_RANGE = f"Value out of range. Must be less than or equal to {MAX_PORT}."
TLS_ALREADY = "Cannot startTls on a TLS socket."
NOT_STARTTLS = "The `secureTransport` socket option must be set to 'starttls' for startTls to be used."
STARTED_BEFORE = "startTls has already been called on this socket, or the socket was transferred over RPC."


@dataclass(frozen=True, slots=True)
class JsSocketInfo:
    """Value of ``opened``."""

    remoteAddress: str  # noqa: N815 - JavaScript's name
    """The peer that was really connected."""
    localAddress: str | None  # noqa: N815 - JavaScript's name
    """This side of the connection."""


class JsSocket:
    """The *Socket* of ``cloudflare:sockets``.

    Args:
        socket: does the work.
    """

    __slots__ = ("_closed", "_opened", "_socket")

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._opened: JsPromise[JsSocketInfo] | None = None
        self._closed: JsPromise[None] | None = None
        # The streams of this socket, under the locks that it looks at itself, with the names of JavaScript.
        socket._readable = JsReadableStream(socket._channel.reading, socket._lease)
        socket._writable = JsWritableStream(socket._channel, socket._lease)

    @property
    def readable(self) -> JsReadableStream:
        """What the peer sends."""
        stream = self._socket.readable
        assert isinstance(stream, JsReadableStream)
        return stream

    @property
    def writable(self) -> JsWritableStream:
        """What is sent to the peer."""
        stream = self._socket.writable
        assert isinstance(stream, JsWritableStream)
        return stream

    @property
    def opened(self) -> JsPromise[JsSocketInfo]:
        """Resolves when the connection is up."""
        if self._opened is None:
            self._opened = derived(self._socket.opened, _info, js_error, self._socket)
        return self._opened

    @property
    def closed(self) -> JsPromise[None]:
        """Resolves when both directions have ended, rejects with what else ended the socket."""
        if self._closed is None:
            self._closed = derived(self._socket.closed, _nothing, js_error, self._socket)
        return self._closed

    @property
    def upgraded(self) -> bool:
        """True once ``startTls()`` has moved the connection to another socket."""
        return self._socket.upgraded

    @property
    def secureTransport(self) -> str:  # noqa: N802 - JavaScript's name
        """``"off"``, ``"on"`` or ``"starttls"``."""
        return self._socket.secure_transport

    def close(self) -> JsPromise[None]:
        """Flush what was written, then close; calling it again does nothing."""
        self._socket.close()
        return self.closed

    def startTls(self, options: Mapping[str, Any] | None = None) -> JsSocket:  # noqa: N802 - JavaScript's name
        """Upgrade to TLS and return the socket to go on with.

        Args:
            options: ``expectedServerHostname``: the name to verify instead of the one that was connected to.

        Raises:
            TypeError: the socket cannot be upgraded in its present state.
        """
        if self._socket.upgraded:
            raise TypeError(STARTED_BEFORE)
        if self.secureTransport == "on":
            raise TypeError(TLS_ALREADY)
        if self.secureTransport == "off":
            raise TypeError(NOT_STARTTLS)
        try:
            return JsSocket(self._socket.start_tls(sni=(options or {}).get("expectedServerHostname")))
        except UsageError as exc:
            raise TypeError(str(exc)) from exc

    def __repr__(self) -> str:
        return repr(self._socket)


def connect(address: str | Mapping[str, Any], options: Mapping[str, Any] | None = None) -> JsSocket:
    """Return a socket to ``address`` at once.

    Args:
        address: ``"host:port"`` or ``{"hostname": …, "port": …}``.
        options: ``secureTransport``, ``allowHalfOpen``, ``highWaterMark``; those of ``longshore.connect()`` as well.

    Raises:
        TypeError: the address or an option is wrong.
        JsError: no event loop is running.
    """
    try:
        target = SocketAddress.parse(address)
    except (ArgumentTypeError, ArgumentValueError) as exc:
        raise TypeError(_address_sentence(address)) from exc
    mode = (options or {}).get("secureTransport", "off")
    if mode not in ("off", "on", "starttls"):
        raise TypeError(f"Unsupported value in secureTransport socket option: {mode}")
    try:
        return JsSocket(python_connect(target, options))
    except (ArgumentTypeError, ArgumentValueError) as exc:
        raise TypeError(str(exc)) from exc
    except UsageError as exc:
        raise JsError(str(exc)) from exc


def _address_sentence(address: object) -> str:
    """Return what Cloudflare's runtime says about an address that is no address."""
    if isinstance(address, Mapping):
        port = address.get("port")
        return PORT_RANGE if isinstance(port, int) and port > MAX_PORT else BAD_HOST
    if not isinstance(address, str):
        return UNPARSED
    host, colon, port_text = address.rpartition(":")
    if not address or (not colon and not address.strip("[]")):
        return NO_HOSTNAME
    if not colon or not port_text or port_text.endswith("]"):
        return NO_PORT
    if not host or not port_text.isdecimal() or int(port_text) > MAX_PORT:
        return UNPARSED
    return BAD_HOST


def _info(info: SocketInfo) -> JsSocketInfo:
    return JsSocketInfo(info.remote_address, info.local_address)


def _nothing(value: None) -> None:
    return value
