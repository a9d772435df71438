"""Node.js with pg, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.program import node
from tests.interop.clients.questions import check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    total, is_encrypted = node("pg.js", target.to_json()).split()
    return check_postgres(target, (total, is_encrypted == "true"))
