"""ldap3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ldap3

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Bind, search, unbind."""
    facts = target.facts
    # ldap3 makes its own context; the check of the name is in it.
    tls = ldap3.Tls(ca_certs_data=target.ca_pem, validate=2) if target.is_tls else None
    server = ldap3.Server(target.host, target.port, use_ssl=target.mode == "tls", tls=tls, connect_timeout=20)
    how = ldap3.AUTO_BIND_TLS_BEFORE_BIND if target.mode == "starttls" else ldap3.AUTO_BIND_NO_TLS
    with ldap3.Connection(server, facts["user"], facts["password"], auto_bind=how, receive_timeout=20) as client:
        client.search(facts["base"], "(objectClass=*)", attributes=["o"])
        found = client.entries[0].o.value
    assert found == "Harbour"
    return f"{found}"
