"""``ssh_server``: OpenSSH's sshd in the foreground, with a host key of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.server_process import (
    HOST,
    Server,
    free_port,
    require_program,
    run_tool,
    running,
    says,
    server_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without root, sshd needs neither a chroot folder (/run/sshd) nor a second account, so nothing is left on the
# machine. It can only let its own account in, but the banner and the key exchange come before that.
USER = "nobody"

CONFIGURATION = f"""
ListenAddress {HOST}
HostKey {{directory}}/host_key
PidFile none
UsePAM no
MaxStartups 100
"""


@pytest.fixture(scope="session")
def ssh_server() -> Iterator[Server]:
    """An SSH server; ``version`` is ``OpenSSH_…`` as it stands in its banner."""
    sshd = require_program("sshd")
    with server_directory("ssh", USER) as directory:
        make_host_key(directory)
        configuration = directory / "sshd_config"
        configuration.write_text(CONFIGURATION.format(directory=directory), encoding="ascii")
        port = free_port()
        command = [sshd, "-D", "-e", "-f", configuration, "-p", port, *no_penalties(sshd, configuration)]
        with running(command, partial(says, port, b"SSH-2.0-"), user=USER, directory=directory):
            yield Server(port, directory, version(sshd))


def make_host_key(directory: Path) -> None:
    """Write ``host_key``."""
    keygen = shutil.which("ssh-keygen")
    assert keygen is not None, "openssh-server brings openssh-client, and that ssh-keygen"
    command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", directory / "host_key"]
    run_tool(command, user=USER, directory=directory)


def no_penalties(sshd: str, configuration: Path) -> list[str]:
    """Return the option of OpenSSH ≥ 9.8 that lets a client come back which did not log in."""
    option = ["-o", "PerSourcePenalties=no"]
    known = subprocess.run([sshd, "-t", "-f", configuration, *option], capture_output=True, check=False)
    return option if b"Bad configuration option" not in known.stderr else []


def version(sshd: str) -> str:
    """Return ``OpenSSH_9.2`` or the like; versions without ``-V`` name themselves all the same."""
    said = subprocess.run([sshd, "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"OpenSSH_[\w.]+", said)
    assert found is not None, f"sshd -V said {said!r}"
    return found[0]
