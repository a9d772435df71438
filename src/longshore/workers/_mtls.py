"""``MtlsCertificate``: an ``[[mtls_certificates]]`` binding, requests and connections with a client certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.core.addresses import SocketAddress
from longshore.workers._bound_dialer import BoundDialer
from longshore.workers._egress import asks_starttls, bound_options, connect_bound
from longshore.workers._fetch import fetch_with

if TYPE_CHECKING:
    from typing import Unpack

    from longshore.core.addresses import AnySocketAddress
    from longshore.sockets._options import AnySocketOptions
    from longshore.sockets._socket import Socket
    from longshore.workers._request import Request
    from longshore.workers._response import Response
    from longshore.workers._types import FetchKwargs

__all__ = ["MtlsCertificate"]


class MtlsCertificate:
    """Shows a client certificate to whatever this worker may connect to; its key stays with the host.

    Args:
        name: of the binding.
    """

    __slots__ = ("_dialer", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._dialer = BoundDialer(name)

    async def fetch(self, resource: str | Request, **options: Unpack[FetchKwargs]) -> Response:
        """Send a request as ``fetch()`` does; where the server asks for a certificate, it gets this one.

        Args:
            resource: as of ``fetch()``.
            **options: as of ``fetch()``.

        Raises:
            TypeError, OSError: as of ``fetch()``.

        Cancellation: the connection is given up.
        """
        return await fetch_with(self._name, resource, options)

    def connect(self, address: AnySocketAddress, options: AnySocketOptions | None = None, /, **keywords: Any) -> Socket:
        """Return a socket with TLS at once, made with this certificate; see ``longshore.connect()``.

        Args:
            address: as of ``longshore.connect()``.
            options: as of ``longshore.connect()``, with ``sni`` and ``alpn``, but without ``tls``;
                ``secure_transport`` is ``"on"`` unless it is ``"starttls"``.
            **keywords: the same, by name.

        Raises:
            ArgumentTypeError, ArgumentValueError: the address or an option is wrong.
            UsageError: no event loop is running.
        """
        target = SocketAddress.parse(address)
        chosen = bound_options(
            self._name,
            options,
            keywords,
            secure_transport="starttls" if asks_starttls(options, keywords) else "on",
            refused=("tls", "dialer"),
        )
        return connect_bound(target, chosen, self._dialer)

    def __repr__(self) -> str:
        return f"<MtlsCertificate {self._name}>"
