"""The HTTP example against http.server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import http_get
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from tests.server_process import Server


async def test_fetches_the_page(http_server: Server) -> None:
    status, body = await http_get.main(http_server.address, "/page.html")
    assert status == "HTTP/1.0 200 OK"
    assert body.decode() == http_server.facts["page"]


async def test_shows_the_status(http_server: Server) -> None:
    status, _ = await http_get.main(http_server.address, "/nowhere")
    assert status == "HTTP/1.0 404 File not found"


def test_command_line(http_server: Server) -> None:
    printed = run_example("http_get", http_server.address, "/page.html")
    assert printed == f"HTTP/1.0 200 OK\n\n{http_server.facts['page']}\n"
