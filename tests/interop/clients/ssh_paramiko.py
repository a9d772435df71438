"""paramiko."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import paramiko

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Run a command."""
    kind, data = target.facts["host_key"].split()[:2]
    with paramiko.SSHClient() as client:
        name = f"[{target.host}]:{target.port}"
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind} {data}")
        client.get_host_keys().add(name, kind, entry.key)
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(target.facts["private_key"]))
        client.connect(target.host, target.port, target.facts["user"], pkey=key, timeout=20, look_for_keys=False)
        _, stdout, _ = client.exec_command("echo ahoy", timeout=20)
        said = stdout.read().decode().strip()
    assert said == "ahoy"
    return f"{said}"
