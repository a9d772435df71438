"""psql, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.libpq import conninfo
from tests.interop.clients.program import output
from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    said = output("psql", "-XAtqF,", "-c", POSTGRES, conninfo(target))
    total, is_encrypted = said.split(",")
    return check_postgres(target, (total, is_encrypted == "t"))
