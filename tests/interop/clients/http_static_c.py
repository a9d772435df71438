"""A program in C, linked statically, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.page import PAGE
from tests.interop.clients.program import output

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page."""
    said = output(target.facts["static_client"], target.host, f"{target.port}", "/ahoy")
    head, _, page = said.replace("\r", "").partition("\n\n")
    assert " 200 " in head, said
    assert page == PAGE.strip(), said
    return page
