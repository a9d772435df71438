"""``BoundDialer``: the worker's dialer, with the credentials of one binding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.core.tls_options import TlsOptions
from longshore.sockets._connect import default_dialer

if TYPE_CHECKING:
    from longshore.abc import Connection, DialRequest
    from longshore.core.tls_options import TlsRequest

__all__ = ["BoundDialer"]


class BoundDialer:
    """Asks the worker's own dialer, in the name of a binding. TLS is made by the host then, and only asked for here.

    Args:
        binding: its name.
        alpn: what to offer in ``start_tls()`` when the caller's context cannot say it.
    """

    def __init__(self, binding: str, alpn: tuple[str, ...] = ()) -> None:
        self._binding = binding
        self._alpn = alpn

    async def dial(self, request: DialRequest) -> Connection:
        """Connect; see ``Dialer.dial``.

        Raises, cancellation: as there.
        """
        tls = None if request.tls is None else self._bound(request.tls)
        return await default_dialer().dial(replace(request, binding=self._binding, tls=tls))

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Make the handshake in the host; see ``Dialer.start_tls``.

        Raises, cancellation: as there.
        """
        return await default_dialer().start_tls(connection, self._bound(tls))

    def _bound(self, tls: TlsRequest) -> TlsRequest:
        return replace(tls, alpn=tls.alpn or self._alpn, options=TlsOptions(), binding=self._binding)
