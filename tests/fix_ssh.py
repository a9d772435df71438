"""``ssh_server``: OpenSSH's sshd in the foreground, with a host key of its own and one account with a key."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
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

CONFIGURATION = f"""
ListenAddress {HOST}
HostKey {{directory}}/host_key
AuthorizedKeysFile {{directory}}/user_key.pub
AuthenticationMethods publickey
StrictModes no
PidFile none
UsePAM no
MaxStartups 100
"""


@pytest.fixture(scope="session")
def ssh_server() -> Iterator[Server]:
    """An SSH server; ``version`` is ``OpenSSH_…`` as it stands in its banner.

    ``facts``: the ``user`` it lets in, with ``private_key``; its own ``host_key``, as ``known_hosts`` has it.
    """
    sshd = require_program("sshd")
    user = account_with_shell()
    with server_directory("ssh", user) as directory:
        make_key(directory, "host_key", user)
        make_key(directory, "user_key", user)
        configuration = directory / "sshd_config"
        configuration.write_text(CONFIGURATION.format(directory=directory), encoding="ascii")
        port = free_port()
        command = [sshd, "-D", "-e", "-f", configuration, "-p", port, *no_penalties(sshd, configuration)]
        with running(command, partial(says, port, b"SSH-2.0-"), user=user, directory=directory):
            yield Server(port, directory, version(sshd), facts=facts(user, directory))


def account_with_shell() -> str:
    """Return the account that sshd runs under, which is the only one it can then let in.

    Without root, sshd needs neither a chroot folder (/run/sshd) nor a second account, so nothing is left on the
    machine. What a client runs, it runs with the account's shell: of the system's accounts, ``postgres`` has one.
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    shells = {"sh", "bash", "dash", "zsh"}
    found = [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != 0 and Path(entry.pw_shell).name in shells]
    # An account of a person is the last resort: their shell may print a greeting.
    return min(found, key=lambda name: (name != "postgres", pwd.getpwnam(name).pw_uid), default="nobody")


def make_key(directory: Path, name: str, user: str) -> None:
    """Write a key pair."""
    keygen = shutil.which("ssh-keygen")
    assert keygen is not None, "openssh-server brings openssh-client, and that ssh-keygen"
    command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", directory / name]
    run_tool(command, user=user, directory=directory)


def facts(user: str, directory: Path) -> dict[str, str]:
    """Return what a client needs to know."""
    return {
        "user": user,
        "private_key": (directory / "user_key").read_text(encoding="ascii"),
        "host_key": (directory / "host_key.pub").read_text(encoding="ascii").strip(),
    }


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
