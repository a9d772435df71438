"""Node's table of ``test-tls-check-server-identity.js``: host, certificate, and whether the two belong together.

All 45 rows, in its order, as workerd's ``tls-nodejs-test.js`` runs them. Node asks its own ``checkServerIdentity``;
here each row is a handshake with OpenSSL's rules. Where the two differ, ``why`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One host and one certificate."""

    host: object
    common_names: tuple[str, ...] = ()
    alternative_names: tuple[str, ...] = ()
    node_accepts: bool = False
    accepts: bool | None = None
    """What we do, where it is something else than Node does; None for the same."""
    why: str = ""

    @property
    def expected(self) -> bool:
        """Whether the handshake must succeed."""
        return self.node_accepts if self.accepts is None else self.accepts

    def __str__(self) -> str:
        names = (*(f"CN={name}" for name in self.common_names), *self.alternative_names)
        return f"{self.host!r} with {', '.join(names) or 'no name'}"


DOT: Final = "OpenSSL takes the names of a certificate as they are; a proper one has no final dot (RFC 5280 §4.2.1.6)"
PARTIAL: Final = "OpenSSL takes a wildcard for a whole label only, as RFC 9525 §6.3 does"

ROWS: Final = (
    # What is no host at all never gets as far as a handshake.
    Row(False, ("a.com",)),
    Row(None, ("a.com",)),
    Row("", ("a.com",)),
    # The common name counts when there is no DNS name.
    Row("a.com", ("a.com",), node_accepts=True),
    Row("a.com", ("A.COM",), node_accepts=True),
    Row("a.com", ("b.com",)),
    Row("a.com", ("a.com.",), node_accepts=True, accepts=False, why=DOT),
    Row("a.com", (".a.com",)),
    # An address stands in an IP SAN and nowhere else.
    Row("8.8.8.8", ("8.8.8.8",)),
    Row("8.8.8.8", ("8.8.8.8",), ("DNS:8.8.8.8",)),
    Row("8.8.8.8", ("8.8.8.8",), ("URI:http://8.8.8.8/",)),
    Row("8.8.8.8", ("8.8.8.8",), ("IP:8.8.8.8",), node_accepts=True),
    Row("8.8.8.8", ("8.8.8.8",), ("IP:8.8.8.0/24",)),
    # Wildcards in the common name.
    Row("b.a.com", ("*.a.com",), node_accepts=True),
    Row("ba.com", ("*.a.com",)),
    Row("\n.b.com", ("*n.b.com",)),
    Row("b.a.com", ("*.a.com",), ("DNS:omg.com",)),
    Row("b.a.com", ("b*b.a.com",)),
    # No subject.
    Row("a.com"),
    Row("a.com", (), ("DNS:a.com",), node_accepts=True),
    Row("a.b.a.com", (), ("URI:http://a.b.a.com/",)),
    # Several common names.
    Row("foo.com", ("foo.com", "bar.com"), node_accepts=True),
    # A DNS name makes the common name irrelevant.
    Row("a.com", ("b.com",), ("DNS:*",)),
    Row("a.com", ("b.com",), ("DNS:*.com",)),
    Row("a.co.uk", ("b.com",), ("DNS:*.co.uk",), node_accepts=True),
    Row("a.com", ("a.com",), ("DNS:*.a.com",)),
    Row("a.com", ("b.com",), ("DNS:*.a.com",)),
    Row("a.com", ("b.com",), ("DNS:a.com",), node_accepts=True),
    Row("a.com", ("b.com",), ("DNS:A.COM",), node_accepts=True),
    # DNS names.
    Row("a.com", (), ("DNS:*.a.com",)),
    Row("b.a.com", (), ("DNS:*.a.com",), node_accepts=True),
    Row("c.b.a.com", (), ("DNS:*.a.com",)),
    Row("b.a.com", (), ("DNS:*b.a.com",), node_accepts=True, accepts=False, why=PARTIAL),
    Row("a-cb.a.com", (), ("DNS:*b.a.com",), node_accepts=True, accepts=False, why=PARTIAL),
    Row("a.b.a.com", (), ("DNS:*b.a.com",)),
    Row("a.b.a.com", (), ("DNS:*b.a.com", "DNS:a.b.a.com"), node_accepts=True),
    # URIs name no host.
    Row("a.b.a.com", (), ("URI:http://a.b.a.com/",)),
    Row("a.b.a.com", (), ("URI:http://*.b.a.com/",)),
    # Addresses.
    Row("a.b.a.com", (), ("IP:127.0.0.1",)),
    Row("127.0.0.1", (), ("IP:127.0.0.1",), node_accepts=True),
    Row("127.0.0.2", (), ("IP:127.0.0.1",)),
    Row("127.0.0.1", (), ("DNS:a.com",)),
    Row("localhost", ("localhost",), ("DNS:a.com",)),
    # International names.
    Row("xn--bcher-kva.example.com", ("*.example.com",), node_accepts=True),
    Row("xn--bcher-kva.example.com", ("xn--*.example.com",)),
)
