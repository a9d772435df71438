"""``link``: a socket of ours and a peer that the test plays itself, once plain and once under TLS.

``client_context`` is for programs that bring an ``ssl.SSLContext`` of their own.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.link import Link

if TYPE_CHECKING:
    from longshore import TlsOptions


@pytest.fixture(params=["plain", "tls"])
def link(request: pytest.FixtureRequest, server_ssl_context: ssl.SSLContext, client_tls: TlsOptions) -> Link:
    """Make connections of the one kind or the other."""
    return Link(request.param == "tls", server_ssl_context, client_tls)


@pytest.fixture
def client_context(client_tls: TlsOptions) -> ssl.SSLContext:
    """A context that trusts the tests' authority, as a program brings it."""
    return ssl.create_default_context(cafile=str(client_tls.ca))
