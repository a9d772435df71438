"""mysqlclient, which Debian has for its own Python: as a child process."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from tests.interop.clients.program import output
from tests.interop.clients.questions import MYSQL, check_mysql

if TYPE_CHECKING:
    from tests.interop.target import Target


PYTHON = "/usr/bin/python3"

SCRIPT = """
import json, sys
import MySQLdb

target = json.load(sys.stdin)
facts = target["facts"]
db = MySQLdb.connect(
    host=target["host"],
    port=target["port"],
    user=facts["user"],
    password=facts["password"],
    database=facts["database"],
    read_default_file=sys.argv[1],
)
cursor = db.cursor()
cursor.execute(sys.argv[2])
print(*cursor.fetchone())
db.close()
"""


def run(target: Target) -> str:
    """Ask."""
    # Of this version's arguments, none makes it verify the name; of the library's options, one does.
    tls = f"ssl-ca={target.ca_file}\nssl-verify-server-cert=1\n" if target.is_tls else ""
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as options:
        options.write(f"[client]\n{tls}")
        options.flush()
        said = output(PYTHON, "-c", SCRIPT, options.name, MYSQL, say=target.to_json())
    return check_mysql(target, said.split())
