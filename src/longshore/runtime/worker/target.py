"""What a request is for: the rules for ``Host`` and the request target (RFC 9112 §3.2), as functions (PURE)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence

__all__ = ["BadTarget", "is_host", "split_absolute", "with_host"]

# RFC 3986 §3.2.2 and §3.2.3: an IP literal or a registered name, which may be empty, and a port.
is_host = re.compile(
    rb"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:[!$&'()*+,;=\-.0-9A-Z_a-z~]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
).fullmatch
_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*)://([^/?#]*)([^#]*)").match


class BadTarget(ValueError):
    """The request is for nothing that this server can have; the message is for the client."""


def split_absolute(target: bytes, scheme: str) -> tuple[bytes, bytes] | None:
    """Return authority and origin-form of a target in absolute-form, None for one in another form.

    Args:
        target: as the client sent it; it does not begin with a slash.
        scheme: of the connection. A request for ``https`` that came without TLS must not be served (RFC 9110 §7.4).

    Raises:
        BadTarget: another scheme, no host, or a user (RFC 9110 §4.2.4).
    """
    found = _absolute(target)
    if found is None:
        return None
    if found[1].lower() != scheme.encode():
        raise BadTarget(f"the scheme of the request target is not {scheme}")
    authority, origin = found[2], found[3]
    if not authority or authority[:1] == b":" or not is_host(authority):
        raise BadTarget("the request target has no valid host")
    return authority, origin if origin[:1] == b"/" else b"/" + origin


def with_host(headers: MutableSequence[tuple[bytes, bytes]], authority: bytes) -> None:
    """Replace ``Host``, which a target in absolute-form goes before (RFC 9112 §3.2.2)."""
    for position, (name, _) in enumerate(headers):
        if name == b"host":
            headers[position] = (name, authority)
            return
    headers.append((b"host", authority))
