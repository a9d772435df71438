"""``gopher_server``: the server of the Gopher example, in a process of its own."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server_process import Server, free_port, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parents[1] / "examples" / "_gopher_server.py"


@pytest.fixture(scope="session")
def gopher_server() -> Iterator[Server]:
    """A Gopher server."""
    port = free_port()
    with server_directory("gopher", None) as directory:
        is_ready = partial(says, port, b"\r\n.\r\n", after=b"\r\n")
        with running([sys.executable, PROGRAM, port], is_ready, user=None, directory=directory):
            yield Server(port, directory)
