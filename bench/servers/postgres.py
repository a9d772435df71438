"""A PostgreSQL with pgbench's tables, for the benches of the pool: ``python -m bench.servers.postgres CERTIFICATE``.

Everybody on this machine may log in as ``bench`` without a password. The harness kills its servers: so this process is
only what it kills, and another one, which notices, ends the database and takes its files away.
"""

from __future__ import annotations

import os
import subprocess
import sys

from longshore.embedded.postgres import running_postgres

__all__ = ["NAME"]

NAME = "bench"
"""Of the account and of the database."""
_INNER = "--inner"
_TRUST = """
DO $$ BEGIN
  EXECUTE format('COPY (SELECT %L) TO %L', 'host all all 127.0.0.1/32 trust', current_setting('hba_file'));
END $$;
SELECT pg_reload_conf();
"""


def _serve() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with running_postgres(user=NAME, database=NAME, sql=_TRUST) as server:
        place = ["-h", server.host, "-p", str(server.port), "-U", server.user]
        subprocess.run(["pgbench", "-i", "-q", *place, server.database], capture_output=True, check=True)
        print(server.port, flush=True)
        sys.stdin.read()


def main() -> None:
    """Start the other process, and wait to be killed."""
    if _INNER in sys.argv:
        _serve()
        return
    with subprocess.Popen([sys.executable, "-m", "bench.servers.postgres", _INNER], stdin=subprocess.PIPE) as inner:
        inner.wait()


if __name__ == "__main__":
    main()
