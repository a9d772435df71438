"""``connect()``: the entry point (WinterTC Sockets API §connect)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from longshore.abc import DialRequest
from longshore.core.addresses import SocketAddress
from longshore.errors import UsageError
from longshore.sockets._options import merge_options
from longshore.sockets._socket import Socket, make_socket, tls_request

if TYPE_CHECKING:
    from longshore.abc import Dialer
    from longshore.core.addresses import AnySocketAddress
    from longshore.sockets._options import AnySocketOptions

__all__ = ["connect", "default_dialer", "set_default_dialer"]

_default_dialer: Dialer | None = None


def set_default_dialer(dialer: Dialer | None) -> Dialer | None:
    """Make ``dialer`` open the connections of every ``connect()`` that names none; return the former one.

    A plain program has a ``DirectDialer``; a sandboxed worker gets one that asks its host.
    """
    global _default_dialer
    former, _default_dialer = _default_dialer, dialer
    return former


def default_dialer() -> Dialer:
    """Return who opens the connections of a ``connect()`` that names no dialer.

    Raises:
        UsageError: there is none.
    """
    if _default_dialer is None:
        raise UsageError("connect() has no dialer: pass dialer=..., or call set_default_dialer() first")
    return _default_dialer


def connect(address: AnySocketAddress, options: AnySocketOptions | None = None, /, **keywords: Any) -> Socket:
    """Return a socket to ``address`` at once; the connection is made in the background (rule K1).

    ``await socket.opened`` waits for it, but nobody has to: writes are queued until it is up, reads wait for it,
    and both raise if it fails.

    Args:
        address: ``"host:port"``, ``"[IPv6]:port"``, ``(host, port)``, ``{"hostname": …, "port": …}`` or
            a ``SocketAddress``.
        options: a ``SocketOptions`` or a mapping of its fields, in snake_case or camelCase.
        **keywords: the same fields; they win over ``options``.

    Raises:
        ArgumentTypeError, ArgumentValueError: the address or an option is wrong.
        UsageError: no event loop is running.
    """
    target = SocketAddress.parse(address)
    chosen = merge_options(options, keywords)
    dialer = chosen.dialer or default_dialer()
    if asyncio._get_running_loop() is None:
        raise UsageError("connect() needs a running event loop: call it from a coroutine")
    request = DialRequest(
        address=target,
        tls=tls_request(target, chosen) if chosen.secure_transport == "on" else None,
        timeout_s=chosen.connect_timeout_s,
        no_delay=chosen.no_delay,
        keep_alive_s=chosen.keep_alive_s,
        local_address=chosen.local_address,
    )
    return make_socket(target, chosen, dialer, partial(dialer.dial, request))
