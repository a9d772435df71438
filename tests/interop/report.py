"""``docs/drivers.md``: the page of the matrix, from the results of its runs (PURE but for the versions)."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.matrix import CLIENTS, GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.interop.matrix import Case, Client, Group

__all__ = ["page", "versions"]

PACKAGES = Path(__file__).parent / "node" / "node_modules"

NAMES = {"plain": "plain", "tls": "TLS", "starttls": "STARTTLS"}

HEAD = """\
# Drivers

Written by `python -m tests.interop report`; do not edit it.

Every client below was run unmodified inside a sandboxed worker, against a server outside of it that it reached by
name, on the loops and with the kinds of TLS that the table says. Certificates were verified, names included. What is
async ran on the worker's own loop (uvloop) and on asyncio's; what blocks ran in a thread; programs ran as child
processes of the worker. The runs are in `tests/interop`, where the same clients also run outside of a sandbox: what a
note tells is so there too.

**{works} of {total} clients work{rest}.** To use one in a worker of yours: [Use a driver](how-to/use-a-driver.md).
"""


def page(results: Mapping[str, bool], known: Mapping[str, str], cases: list[Case]) -> str:
    """Return the page.

    Args:
        results: by the name of the case, whether it worked.
        known: versions, by the module of the client.
        cases: the whole matrix.
    """
    failed = {case.client.module for case in cases if not results.get(case.name, False)}
    noted = sum(bool(client.note) for client in CLIENTS if client.module not in failed)
    rest = f", {noted} of them with a note" if noted else ""
    head = HEAD.format(works=len(CLIENTS) - len(failed), total=len(CLIENTS), rest=rest)
    return "\n".join([head, *(section(group, results, known, cases) for group in GROUPS)])


def section(group: Group, results: Mapping[str, bool], known: Mapping[str, str], cases: list[Case]) -> str:
    """Return the heading and the table of one kind of server."""
    rows = [row(client, results, known, [case for case in cases if case.client is client]) for client in group.clients]
    note = f"\n{group.note}\n" if group.note else ""
    head = "| client | version | runs | result |\n| --- | --- | --- | --- |"
    return "\n".join([f"## {group.title}\n{note}", head, *rows, ""])


def row(client: Client, results: Mapping[str, bool], known: Mapping[str, str], cases: list[Case]) -> str:
    """Return the row of a client."""
    modes = ", ".join(NAMES[mode] for mode in client.modes)
    runs = f"{way(client)}: {modes}"
    return f"| {client.name} | {known.get(client.module, '')} | {runs} | {verdict(client, results, cases)} |"


def way(client: Client) -> str:
    """Return how a client is run."""
    if client.program or client.npm or (client.is_own_process and client.loops == ("",)):
        return "child process"
    where = " and ".join(filter(None, client.loops)) or "thread"
    return f"{where}, child process" if client.is_own_process else where


def verdict(client: Client, results: Mapping[str, bool], cases: list[Case]) -> str:
    """Return works, works with a note, or does not."""
    failed = [case for case in cases if not results.get(case.name, False)]
    if failed:
        where = "; ".join(" ".join(filter(None, (case.loop, NAMES[case.mode]))) for case in failed)
        return f"does not: {where}" + (f" ({client.note})" if client.note else "")
    return f"works with a note: {client.note}" if client.note else "works"


def versions() -> dict[str, str]:
    """Return the version of every client, as its package or the program itself says."""
    return {client.module: version_of(client) for client in CLIENTS}


def version_of(client: Client) -> str:
    """Return the version of one client."""
    if client.npm:
        package = json.loads((PACKAGES / client.npm / "package.json").read_text(encoding="utf-8"))
        return f"{package['version']}"
    if client.distributions:
        return ", ".join(version(name) for name in client.distributions)
    if client.version_command:
        return said_by(client.version_command)
    return f"Python {platform.python_version()}"


def said_by(command: tuple[str, ...]) -> str:
    """Return the version in what a program says; MariaDB's client first says that of the command line tool."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\w*", (done.stdout + done.stderr).rpartition("Distrib")[2])
    return found[0] if found else ""
