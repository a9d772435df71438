"""``http_server``: the standard library's ``http.server`` in a process of its own, over one folder."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.server_process import HOST, Server, free_port, running, says, server_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "<!doctype html><title>harbour</title><p>All hands on deck.</p>\n" * 5000
"""Longer than any one read."""


@pytest.fixture(scope="session")
def http_server() -> Iterator[Server]:
    """An HTTP/1.0 server; ``facts["page"]`` is what lies at ``/page.html``."""
    port = free_port()
    with server_directory("http", None) as directory:
        public = directory / "public"
        public.mkdir()
        (public / "page.html").write_text(PAGE, encoding="utf-8")
        command = [sys.executable, "-m", "http.server", "-b", HOST, "-d", public, port]
        is_ready = partial(says, port, b"200 OK", after=b"HEAD / HTTP/1.0\r\n\r\n")
        with running(command, is_ready, user=None, directory=directory):
            yield Server(port, directory, facts={"page": PAGE})
