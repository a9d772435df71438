"""The Gopher example against its own server, and the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import gopher
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from tests.server_process import Server


async def test_fetches_the_menu(gopher_server: Server) -> None:
    page = await gopher.main(gopher_server.address)
    assert f"0About this server\t/about.txt\t127.0.0.1\t{gopher_server.port}\r\n" in page
    assert page.endswith("\r\n.\r\n")


async def test_fetches_a_page(gopher_server: Server) -> None:
    page = await gopher.main(gopher_server.address, "/about.txt")
    assert page.startswith("A Worker asks, a gopher digs:\r\n")


async def test_server_says_what_it_does_not_have(gopher_server: Server) -> None:
    assert (await gopher.main(gopher_server.address, "/gold")).startswith("3Nothing is buried at '/gold'\t")


def test_command_line(gopher_server: Server) -> None:
    assert "\n    A Worker asks, a gopher digs:\n" in run_example("gopher", gopher_server.address, "/about.txt")


def test_demo_starts_and_ends_its_own_server() -> None:
    printed = run_example("gopher")
    assert "started     a Gopher server at 127.0.0.1:" in printed
    assert "ended by the server without an error\n" in printed
    assert "    Welcome to the Longshore burrow" in printed
    assert "    About this server           /about.txt\n" in printed
