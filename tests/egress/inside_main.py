"""A worker's place for tests of the trap door: an empty network, the real filter, a function in it.

Run as ``python -m tests.egress.inside_main FD LOCKED MODULE:FUNCTION JSON``; the function gets the decoded JSON, and
what it returns is printed as JSON. FD is a Unix socket: the listener and the socket helper's end go out on it, and one
byte that comes back lets the function begin.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def enter(control: socket.socket, *, is_locked: bool) -> None:
    """Go inside, and hand the keys over."""
    from longshore.sandbox.inside_sockets import inside_pair, serve_one  # noqa: PLC0415 - only here
    from longshore.sandbox.kernel import call_libc, prctl  # noqa: PLC0415
    from longshore.sandbox.landlock import landlock_abi, restrict  # noqa: PLC0415
    from longshore.sandbox.namespaces import map_identity  # noqa: PLC0415
    from longshore.sandbox.network import set_up_loopback  # noqa: PLC0415
    from longshore.sandbox.privileges import drop_capabilities  # noqa: PLC0415
    from longshore.sandbox.seccomp import install_filter  # noqa: PLC0415

    uid, gid = os.geteuid(), os.getegid()
    call_libc("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    map_identity(uid, gid)
    set_up_loopback()
    mine, theirs = inside_pair()
    if os.fork() == 0:
        theirs.close()
        while serve_one(mine):
            pass
        os._exit(0)
    mine.close()
    drop_capabilities()
    prctl(4, 1)  # PR_SET_DUMPABLE: the test's account may look at us
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    if is_locked:
        restrict(("landlock-tcp",), landlock_abi(), readable=(), writable=())
    listener = install_filter()
    socket.send_fds(control, [b"keys"], [listener, theirs.fileno()])
    os.close(listener)
    theirs.close()
    assert control.recv(1) == b"g"


def main() -> None:
    """Be the worker."""
    module, _, name = sys.argv[3].partition(":")
    function = getattr(importlib.import_module(module), name)
    if sys.argv[2] != "outside":
        with socket.socket(fileno=int(sys.argv[1])) as control:
            enter(control, is_locked=sys.argv[2] == "locked")
    sys.stdout.write(json.dumps(function(json.loads(sys.argv[4]))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
