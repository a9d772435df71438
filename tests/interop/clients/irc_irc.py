"""irc, with its reactor."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

import irc.client
import irc.connection

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Register and return the server's first greeting."""
    greetings: list[str] = []
    factory = irc.connection.Factory()
    if (context := target.context) is not None:
        factory = irc.connection.Factory(wrapper=lambda sock: context.wrap_socket(sock, server_hostname=target.host))
    reactor = irc.client.Reactor()
    connection = reactor.server()
    connection.add_global_handler("welcome", lambda _connection, event: greetings.append(event.arguments[0]))
    connection.connect(target.host, target.port, f"i{token_hex(3)}", connect_factory=factory)
    while not greetings:
        assert connection.is_connected()
        reactor.process_once(timeout=20)
    connection.disconnect()
    assert "Welcome" in greetings[0]
    return greetings[0]
