"""mysql-connector-python over its library in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

# First of all: its OpenSSL must be loaded before Python's.
import _mysql_connector  # noqa: F401

from tests.interop.clients.mysql_connector import ask

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    return ask(target, is_pure=False)
