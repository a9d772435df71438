"""Workers with sockets, in Python: ``connect()`` gives a TCP socket at once and never lies about its end."""

from longshore import _default as _default
from longshore.aio.abort import AbortController, AbortSignal
from longshore.aio.promise import Promise
from longshore.core.addresses import AnySocketAddress, SocketAddress
from longshore.core.info import SocketInfo, Timings
from longshore.core.tls_options import TlsOptions
from longshore.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    ConnectAttempt,
    ConnectError,
    ConnectTimeout,
    LimitExceeded,
    PolicyDenied,
    ResetError,
    ResolveError,
    SocketError,
    TlsError,
    UsageError,
)
from longshore.net.dial import DirectDialer
from longshore.policy import EgressPolicy
from longshore.sockets._connect import connect, set_default_dialer
from longshore.sockets._options import SocketOptions
from longshore.sockets._readable import ReadableStream, ReadableStreamReader
from longshore.sockets._socket import Socket
from longshore.sockets._writable import WritableStream, WritableStreamWriter

__all__ = [
    "AbortController",
    "AbortSignal",
    "AnySocketAddress",
    "ArgumentTypeError",
    "ArgumentValueError",
    "ClosedError",
    "ConnectAttempt",
    "ConnectError",
    "ConnectTimeout",
    "DirectDialer",
    "EgressPolicy",
    "LimitExceeded",
    "PolicyDenied",
    "Promise",
    "ReadableStream",
    "ReadableStreamReader",
    "ResetError",
    "ResolveError",
    "Socket",
    "SocketAddress",
    "SocketError",
    "SocketInfo",
    "SocketOptions",
    "Timings",
    "TlsError",
    "TlsOptions",
    "UsageError",
    "WritableStream",
    "WritableStreamWriter",
    "connect",
    "set_default_dialer",
]
