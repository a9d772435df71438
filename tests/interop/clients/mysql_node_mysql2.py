"""Node.js with mysql2, as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.program import node
from tests.interop.clients.questions import check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    return check_mysql(target, node("mysql2.js", target.to_json()).split())
