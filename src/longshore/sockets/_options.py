"""``SocketOptions``: checked once, at the call of ``connect()`` (rule K1)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from longshore.aio.abort import AbortSignal
from longshore.core.host_syntax import parse_host
from longshore.core.shown import shown
from longshore.core.tls_options import TlsOptions
from longshore.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from longshore.abc import Dialer

__all__ = ["AnySocketOptions", "SecureTransport", "SocketOptions", "merge_options"]

SecureTransport: TypeAlias = Literal["off", "on", "starttls"]

DEFAULT_HIGH_WATER_MARK_BYTES: Final = 65536
# Long enough for a distant peer that lost a few SYNs, short enough that nobody waits for the kernel's two minutes.
DEFAULT_CONNECT_TIMEOUT_S: Final = 60.0
# Beyond a year a bound is a mistake, and event loops overflow somewhere above it.
MAX_SECONDS: Final = 366 * 24 * 3600.0
MAX_KEEP_ALIVE_S: Final = 32767.0  # MAX_TCP_KEEPIDLE in include/net/tcp.h
_MAX_ALPN_BYTES: Final = 255  # RFC 7301 §3.1: a one-byte length
_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How to connect (WinterTC Sockets API, *SocketOptions*, and what it lacks).

    Raises:
        ArgumentTypeError, ArgumentValueError: an option has a wrong type or value.
    """

    secure_transport: SecureTransport = "off"
    """``"off"`` plaintext, ``"on"`` TLS from the start, ``"starttls"`` plaintext that may be upgraded once."""
    allow_half_open: bool = False
    """Keep the write side open after the peer's end-of-file."""
    high_water_mark: int = DEFAULT_HIGH_WATER_MARK_BYTES
    """Bytes that may wait to be sent before ``write()`` waits."""
    sni: str | None = None
    """Name to send as SNI and to verify the certificate against, instead of the host in the address."""
    alpn: tuple[str, ...] = ()
    """Application protocols to offer, most wanted first."""
    tls: TlsOptions | None = None
    """CA, client certificate and version bounds; None for the system's trust."""
    connect_timeout_s: float | None = DEFAULT_CONNECT_TIMEOUT_S
    """Bound on name resolution, TCP and TLS together, in seconds; None for none."""
    signal: AbortSignal | None = None
    """Aborts the socket at any time."""
    no_delay: bool = True
    """TCP_NODELAY: send small writes at once."""
    keep_alive_s: float | None = None
    """Idle seconds before TCP keep-alive probes; None for no probes."""
    local_address: tuple[str, int] | None = None
    """IP literal and port to connect from; port 0 for any."""
    dialer: Dialer | None = None
    """Who opens the connection; None for the program's default."""

    def __post_init__(self) -> None:
        _check_choice("secure_transport", self.secure_transport, ("off", "on", "starttls"))
        for name in ("allow_half_open", "no_delay"):
            _check_type(name, getattr(self, name), bool)
        _check_high_water_mark(self.high_water_mark)
        _check_seconds("connect_timeout_s", self.connect_timeout_s)
        _check_seconds("keep_alive_s", self.keep_alive_s, MAX_KEEP_ALIVE_S)
        _check_optional("tls", self.tls, TlsOptions)
        _check_optional("signal", self.signal, AbortSignal)
        _check_sni(self.sni)
        _check_dialer(self.dialer)
        object.__setattr__(self, "alpn", _checked_alpn(self.alpn))
        object.__setattr__(self, "local_address", _checked_local_address(self.local_address))
        self._check_combination()

    def _check_combination(self) -> None:
        for name in ("sni", "alpn", "tls"):
            if self.secure_transport == "off" and getattr(self, name):
                raise ArgumentValueError(
                    f"option {name} needs TLS, but secure_transport is 'off': make it 'on' or 'starttls'"
                )
        if self.tls is not None and self.tls.context is not None:
            self._check_own_context(self.tls)

    def _check_own_context(self, tls: TlsOptions) -> None:
        if self.alpn:
            raise ArgumentValueError(
                "option alpn cannot change tls.context: call set_alpn_protocols() on the context instead"
            )
        if tls != TlsOptions(context=tls.context):
            raise ArgumentValueError(
                "option tls has a context and other fields: set those on the context, which is used as it is"
            )


AnySocketOptions: TypeAlias = SocketOptions | Mapping[str, Any]
_NAMES: Final = {field.name for field in fields(SocketOptions)}


def merge_options(options: AnySocketOptions | None, keywords: Mapping[str, Any]) -> SocketOptions:
    """Return the options of a call; ``keywords`` win over ``options``.

    Args:
        options: a ``SocketOptions``, a mapping with snake_case or camelCase names, or None.
        keywords: the same names.

    Raises:
        ArgumentTypeError: an option is unknown or has a wrong type.
        ArgumentValueError: an option has a wrong value.
    """
    if not keywords and (options is None or isinstance(options, SocketOptions)):
        return options or _DEFAULTS
    if isinstance(options, SocketOptions):
        return replace(options, **_known(keywords))
    if options is not None and not isinstance(options, Mapping):
        raise ArgumentTypeError(f"options {shown(options)} must be SocketOptions, a mapping or None")
    return SocketOptions(**{**_known(options or {}), **_known(keywords)})


def _known(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_snake_name(name): value for name, value in given.items()}


def _snake_name(name: object) -> str:
    if not isinstance(name, str):
        raise ArgumentTypeError(f"option name {shown(name)} must be a str")
    if name in _NAMES:
        return name
    snake = re.sub(r"(?<=[a-z])([A-Z])", lambda found: "_" + found.group(1).lower(), name)
    if snake in _NAMES:
        return snake
    nearest = difflib.get_close_matches(snake, _NAMES, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"the options are {', '.join(sorted(_NAMES))}"
    raise ArgumentTypeError(f"option {shown(name)} is unknown: {hint}")


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise ArgumentTypeError(f"option {name}={shown(value)} must be a {kind.__name__}")


def _check_optional(name: str, value: object, kind: type) -> None:
    if value is not None:
        _check_type(name, value, kind)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentValueError(f"option {name}={shown(value)} must be one of {', '.join(map(repr, choices))}")


def _check_high_water_mark(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"option high_water_mark={shown(value)} must be an int, in bytes")
    if value < 1:
        raise ArgumentValueError(f"option high_water_mark={shown(value)} must be at least 1 byte")


def _check_seconds(name: str, value: object, maximum_s: float = MAX_SECONDS) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ArgumentTypeError(f"option {name}={shown(value)} must be a number of seconds or None")
    if not 0 < value <= maximum_s:  # also false for NaN
        raise ArgumentValueError(
            f"option {name}={shown(value)} must be more than 0 and at most {maximum_s:.0f} seconds, or None for none"
        )


def check_close_timeout(timeout_s: object) -> None:
    """Check the ``timeout_s`` of ``close()``, where 0 means not to wait at all.

    Raises:
        ArgumentTypeError, ArgumentValueError: it is no number, or negative or absurdly large.
    """
    if timeout_s is not None and (timeout_s.__class__ is bool or timeout_s != 0):
        _check_seconds("timeout_s", timeout_s)


def _check_sni(value: object) -> None:
    if value is None:
        return
    _check_type("sni", value, str)
    if not _SERVER_NAME.fullmatch(str(value)) or str(value).startswith("."):
        raise ArgumentValueError(
            f"option sni={shown(value)} must be a host name in ASCII (write an international name as its "
            "xn-- A-label) or an IP literal"
        )
    parse_host(value, f"option sni={shown(value)}")


def _check_dialer(value: object) -> None:
    if value is not None and not callable(getattr(value, "dial", None)):
        raise ArgumentTypeError(f"option dialer={shown(value)} must be a Dialer, such as DirectDialer()")


def _checked_alpn(value: object) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, (tuple, list)):
        raise ArgumentTypeError(f"option alpn={shown(value)} must be a list of str, such as ['h2', 'http/1.1']")
    for protocol in value:
        _check_type("alpn item", protocol, str)
        if not protocol.isascii() or not 1 <= len(protocol) <= _MAX_ALPN_BYTES:
            raise ArgumentValueError(
                f"option alpn item {shown(protocol)} must have 1 to {_MAX_ALPN_BYTES} ASCII characters (RFC 7301 §3.1)"
            )
    return tuple(value)


def _checked_local_address(value: object) -> tuple[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentTypeError(f"option local_address={shown(value)} must be (IP literal, port)")
    host, port = value
    if not isinstance(host, str) or not isinstance(port, int) or isinstance(port, bool):
        raise ArgumentTypeError(f"option local_address={shown(value)} must be (IP literal, port)")
    try:
        ip_address(host)
    except ValueError as exc:
        raise ArgumentValueError(f"option local_address={shown(value)} must have an IP literal: {exc}") from exc
    if not 0 <= port <= 65535:
        raise ArgumentValueError(f"option local_address={shown(value)} must have a port from 0 to 65535")
    return host, port


def start_tls_options(
    options: SocketOptions,
    *,
    sni: str | None,
    alpn: tuple[str, ...] | list[str] | None,
    tls: TlsOptions | None,
    timeout_s: float | None,
) -> SocketOptions:
    """Return the options of the socket that ``start_tls()`` makes: those of the old one, as overridden.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument is wrong.
    """
    changes: dict[str, Any] = {"secure_transport": "on"}
    given = {"sni": sni, "alpn": alpn, "tls": tls, "connect_timeout_s": timeout_s}
    changes.update((name, value) for name, value in given.items() if value is not None)
    return replace(options, **changes)


_DEFAULTS: Final = SocketOptions()
