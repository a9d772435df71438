"""``Egress``: an ``[[egress]]`` binding, a way to one place with credentials that the worker never sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from longshore.core.addresses import SocketAddress
from longshore.core.private_names import private_name
from longshore.errors import ArgumentValueError
from longshore.sockets._connect import connect
from longshore.sockets._options import merge_options
from longshore.workers._bound_dialer import BoundDialer
from longshore.workers._context import connecting_via

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.config.model import EgressBinding
    from longshore.sockets._options import AnySocketOptions, SecureTransport, SocketOptions
    from longshore.sockets._socket import Socket

__all__ = ["Egress", "asks_starttls", "bound_options", "connect_bound"]


class Egress:
    """Where the operator lets this worker connect, whatever its rules say, with TLS made by the host.

    Certificates, server name, protocols and versions are the configuration's: the same code runs wherever the
    operator has other ones.

    Args:
        binding: as configured.
    """

    __slots__ = ("_address", "_dialer", "_name", "_secure_transport")

    def __init__(self, binding: EgressBinding) -> None:
        self._name = binding.binding
        self._address = SocketAddress.parse(binding.address)
        self._secure_transport = cast("SecureTransport", binding.secure_transport)
        self._dialer = BoundDialer(binding.binding)

    @property
    def address(self) -> str:
        """Where it leads, ``host:port``."""
        return str(self._address)

    @property
    def host(self) -> str:
        """A private name for drivers that make their own connections.

        What connects there speaks in the clear, and the host makes TLS of it. It exists inside this worker only, and
        needs the sandbox.
        """
        return private_name(self._name)

    @property
    def port(self) -> int:
        """The port that goes with ``host``."""
        return self._address.port

    def connect(self, options: AnySocketOptions | None = None, /, **keywords: Any) -> Socket:
        """Return a socket to it at once; see ``longshore.connect()``.

        Args:
            options: as for ``longshore.connect()``, but nothing about TLS except ``alpn``, which holds when the
                configuration has none. With ``secure_transport = "starttls"`` in the configuration, ``start_tls()``
                of the socket upgrades it.
            **keywords: the same, by name.

        Raises:
            ArgumentTypeError, ArgumentValueError: an option is wrong, or is the configuration's to say.
            UsageError: no event loop is running.
        """
        chosen = bound_options(
            self._name,
            options,
            keywords,
            secure_transport=self._secure_transport,
            refused=("sni", "tls", "dialer"),
        )
        return connect_bound(self._address, chosen, self._dialer)

    def __repr__(self) -> str:
        return f"<Egress {self._name}: {self.address}>"


def bound_options(
    name: str,
    options: AnySocketOptions | None,
    keywords: Mapping[str, Any],
    *,
    secure_transport: SecureTransport,
    refused: Iterable[str],
) -> SocketOptions:
    """Return the options of a connection of a binding.

    Args:
        name: of the binding.
        options: the caller's.
        keywords: the caller's.
        secure_transport: what is decided; the caller may say the same, or nothing.
        refused: what the caller may not give at all.

    Raises:
        ArgumentTypeError, ArgumentValueError: an option is wrong, or not for the caller to choose.
    """
    given = (keywords, options) if isinstance(options, Mapping) else (keywords,)
    asked = {each.get(key, secure_transport) for each in given for key in ("secure_transport", "secureTransport")}
    chosen = merge_options(options, {**keywords, "secure_transport": secure_transport})
    if asked != {secure_transport}:
        raise _not_yours(name, "secure_transport")
    for option in refused:
        if getattr(chosen, option):
            raise _not_yours(name, option)
    return chosen


def asks_starttls(options: AnySocketOptions | None, keywords: Mapping[str, Any]) -> bool:
    """Say whether the caller wants to upgrade the connection later."""
    return merge_options(options, keywords).secure_transport == "starttls"


def _not_yours(name: str, option: str) -> ArgumentValueError:
    return ArgumentValueError(
        f"option {option} of env.{name}.connect() is not for the worker to choose: its configuration says it"
    )


def connect_bound(address: SocketAddress, options: SocketOptions, dialer: BoundDialer) -> Socket:
    """Connect by ``dialer``, and say so in the log of connections.

    Raises:
        UsageError: no event loop is running.
    """
    token = connecting_via.set("binding")
    try:
        return connect(address, options, dialer=dialer)
    finally:
        connecting_via.reset(token)
