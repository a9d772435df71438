"""How the tests are run. One fixture topic per file, listed in ``pytest_plugins`` below.

- Layout: ``tests/net/test_dial.py`` tests ``src/longshore/net/dial.py``. Every folder has an ``__init__.py``;
  the repository root is on the path, so helpers are imported as ``from tests.loops import run_checked``, and
  ``examples``, ``bench`` and ``tools`` by their own names.
- ``async def test_…`` runs once on the stdlib loop and once on uvloop (``fix_loop.py``), each time in a fresh
  loop, and fails when it leaves a task, an open socket or an unhandled error behind (``loops.py``).
- ``@pytest.mark.needs("sshd")`` asks for a system package (``fix_system.py``): missing, the test is skipped
  with the reason, and fails when ``CI`` is set.
- No real waiting: no ``sleep`` as synchronisation, no duration as verdict, loopback only.
"""

from __future__ import annotations

pytest_plugins = [
    "tests.fix_loop",
    "tests.fix_system",
    "tests.fix_hypothesis",
    "tests.fix_tls",
    "tests.fix_link",
    "tests.fix_echo",
    "tests.fix_http",
    "tests.fix_gopher",
    "tests.fix_ssh",
    "tests.fix_mqtt",
    "tests.fix_smtp",
    "tests.fix_ftp",
    "tests.fix_irc",
    "tests.fix_redis",
    "tests.fix_pool_process",
    "tests.fix_postgres",
    "tests.fix_postgres_logins",
    "tests.fix_mysql",
    "tests.fix_docs",
    "tests.interop.fix_python_servers",
    "tests.interop.fix_nats",
    "tests.interop.fix_ldap",
    "tests.interop.fix_imap",
    "tests.interop.fix_rabbitmq",
    "tests.interop.fix_programs",
]
