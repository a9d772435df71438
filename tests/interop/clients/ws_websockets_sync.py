"""websockets, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.sync.client import connect

from tests.interop.clients.page import url

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Hear an echo."""
    with connect(url(target, "ws"), ssl=target.context, proxy=None) as client:
        client.send("ahoy")
        said = client.recv(timeout=20)
    assert said == "ahoy"
    return f"{said!s}"
