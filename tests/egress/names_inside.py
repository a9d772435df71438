"""Run a program where a worker's names are: ``python -m tests.egress.names_inside FD FOLDER PROGRAM ARGUMENT…``.

Makes namespaces for user, mounts and network, hands the two sockets of the name server to the Unix socket ``FD``, puts
the files of ``FOLDER`` over those of ``/etc``, and becomes the program. Exits with 77 when the system allows no such
namespaces.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from longshore.sandbox.kernel import call_libc
from longshore.sandbox.namespaces import map_identity
from longshore.sandbox.network import name_server_sockets, set_up_loopback

NOT_ALLOWED = 77

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x0002_0000, 0x1000_0000, 0x4000_0000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x4_0000


def enter(folder: Path) -> None:
    """Go where a worker is, as far as names are concerned."""
    uid, gid = os.geteuid(), os.getegid()
    call_libc("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    map_identity(uid, gid)
    call_libc("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    for path in folder.iterdir():
        call_libc("mount", os.fsencode(path), f"/etc/{path.name}".encode(), None, MS_BIND, None)
    set_up_loopback()


def main() -> None:
    """Enter, hand the sockets over, become the program."""
    channel, folder, *command = sys.argv[1:]
    try:
        enter(Path(folder))
    except OSError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(NOT_ALLOWED)
    with socket.socket(fileno=int(channel)) as sock:
        udp, tcp = name_server_sockets()
        socket.send_fds(sock, [b"!"], [udp.fileno(), tcp.fileno()])
    os.execv(command[0], command)  # closes what is ours


if __name__ == "__main__":
    main()
