"""ssh, as a child process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.clients.program import output

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Run a command."""
    with tempfile.TemporaryDirectory() as folder:
        key, known_hosts = Path(folder, "key"), Path(folder, "known_hosts")
        key.write_text(target.facts["private_key"], encoding="ascii")
        key.chmod(0o600)
        known_hosts.write_text(f"[{target.host}]:{target.port} {target.facts['host_key']}\n", encoding="ascii")
        options = [
            *("-F", "none", "-i", f"{key}", "-p", f"{target.port}"),
            *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "CheckHostIP=no", "-o", "BatchMode=yes"),
        ]
        said = output("ssh", *options, f"{target.facts['user']}@{target.host}", "echo ahoy")
    assert said == "ahoy"
    return said
