"""``link``: a socket of ours and a peer that the test plays itself, once plain and once under TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.link import Link

if TYPE_CHECKING:
    import ssl

    from longshore import TlsOptions


@pytest.fixture(params=["plain", "tls"])
def link(request: pytest.FixtureRequest, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions) -> Link:
    """Make connections of the one kind or the other."""
    return Link(request.param == "tls", server_ssl_context, client_tls)
