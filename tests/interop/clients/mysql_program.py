"""mysql (MariaDB's client), as a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.clients.program import output
from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask."""
    facts = target.facts
    tls = [f"--ssl-ca={target.ca_file}", "--ssl-verify-server-cert"] if target.is_tls else ["--skip-ssl"]
    place = ["--protocol=TCP", f"--host={target.host}", f"--port={target.port}", f"--user={facts['user']}"]
    words = ["mysql", "--no-defaults", *place, *tls, "--batch", "--skip-column-names", "-e", MYSQL, facts["database"]]
    return check_mysql(target, output(*words, MYSQL_PWD=facts["password"]).split())
