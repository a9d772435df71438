"""Programs of the system that tests, examples and benches call, and how Debian names their packages.

Installing needs root and ``apt-get``; everywhere else the missing ones are named and the caller goes on
without them. Services are never started by the installation: Debian asks ``/usr/sbin/policy-rc.d`` first, and
where the administrator has not provided one, one that refuses stands there for as long as ``apt-get`` runs.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.devkit.console import run_quietly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PACKAGES", "Package", "can_install", "find_program", "install", "missing_programs"]

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Stands here while ./dev runs apt-get: start no service.\nexit 101\n"

# Servers live in sbin, which is not on the PATH of every account.
EXTRA_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Package:
    """One program and the Debian package that brings it."""

    debian: str
    programs: tuple[str, ...]
    """Names of the executable; any one of them will do."""
    folders: str = ""
    """Glob, from the root, of folders off the PATH where Debian puts it."""
    for_what: str = ""
    files: str = ""
    """Glob, from the root, of the file to look for instead: what brings no program."""


PACKAGES: dict[str, Package] = {
    "sshd": Package("openssh-server", ("sshd",), for_what="the SSH banner example and its test"),
    "mosquitto": Package("mosquitto", ("mosquitto",), for_what="the MQTT example and its test"),
    "redis-server": Package("redis-server", ("redis-server",), for_what="the Redis example and its test"),
    "postgres": Package("postgresql", ("postgres",), "usr/lib/postgresql/*/bin", "the PostgreSQL example and its test"),
    "mariadbd": Package("mariadb-server", ("mariadbd", "mysqld"), for_what="the MySQL example and its test"),
    "ngircd": Package("ngircd", ("ngircd",), for_what="the IRC example and its test"),
    "vsftpd": Package("vsftpd", ("vsftpd",), for_what="the FTP example and its test"),
    "nats-server": Package("nats-server", ("nats-server",), for_what="the interop matrix: NATS"),
    "rabbitmq-server": Package("rabbitmq-server", ("rabbitmq-server",), for_what="the interop matrix: AMQP"),
    "epmd": Package("erlang-base", ("epmd",), for_what="the interop matrix: RabbitMQ's port mapper"),
    "slapd": Package("slapd", ("slapd",), for_what="the interop matrix: LDAP"),
    "dovecot": Package("dovecot-imapd", ("dovecot",), for_what="the interop matrix: IMAP"),
    "psql": Package("postgresql-client", ("psql",), for_what="the interop matrix: a client in C"),
    "mysql": Package("mariadb-client", ("mariadb", "mysql"), for_what="the interop matrix: a client in C"),
    "mysqlclient": Package(
        "python3-mysqldb",
        (),
        for_what="the interop matrix: a client in C",
        files="usr/lib/python3/dist-packages/MySQLdb/__init__.py",
    ),
    "redis-cli": Package("redis-tools", ("redis-cli",), for_what="the interop matrix: a client in C"),
    "ssh": Package("openssh-client", ("ssh",), for_what="the interop matrix: a client in C"),
    "curl": Package("curl", ("curl",), for_what="the interop matrix: a client in C"),
    "hey": Package("hey", ("hey",), for_what="the interop matrix: a client in Go"),
    "npm": Package("npm", ("npm",), for_what="the interop matrix: packages for Node.js"),
    "node": Package("nodejs", ("node", "nodejs"), for_what="interoperation tests and the Node.js bench"),
    "chromium": Package("chromium", ("chromium",), for_what="the test that looks at the error page"),
    "wrk": Package("wrk", ("wrk",), for_what="the load of the HTTP benches"),
    "gcc": Package("gcc libc6-dev", ("gcc", "cc"), for_what="the C client of the benches"),
}


def find_program(name: str) -> str | None:
    """Return the path of the program called ``name`` in ``PACKAGES``, or None when it is not installed."""
    package = PACKAGES[name]
    if package.files:
        return next((str(path) for path in sorted(Path("/").glob(package.files))), None)
    # The newest version first: /usr/lib/postgresql/17/bin before 15.
    folders = sorted((str(path) for path in Path("/").glob(package.folders)), reverse=True) if package.folders else []
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *EXTRA_PATH, *folders])
    for program in package.programs:
        if found := shutil.which(program, path=path):
            return found
    return None


def missing_programs() -> list[str]:
    """Return the names in ``PACKAGES`` that are not installed."""
    return [name for name in PACKAGES if find_program(name) is None]


def can_install() -> bool:
    """Return whether ``install`` may work here: root on a Debian with apt-get."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Keep Debian from starting services that are installed meanwhile; an existing policy is left alone."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(POLICY_TEXT, encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def install(debian_packages: Sequence[str]) -> str | None:
    """Install packages with apt-get; None when it worked, else the end of what apt-get said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = [word for package in debian_packages for word in package.split()]
    # Another apt-get may be at work: wait for it.
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    steps = ([*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", *words])
    with no_service_starts():
        for step in steps:
            done = run_quietly(step, environment=environment)
            if done.code != 0:
                return f"{' '.join(step)} ended with {done.code}:\n{done.tail(8)}"
    return None
