"""The same as an ordinary account: no capability outside, a user namespace of one's own."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - as below
import encodings.idna  # noqa: F401
import os
import socket
import sys
import traceback
from typing import TYPE_CHECKING

from longshore.sandbox import fork, init, jail  # noqa: F401 - loaded while the files can be read
from longshore.sandbox.kernel import prctl
from tests.egress import behaviours
from tests.egress.behaviours import echo_works
from tests.egress.inside_main import enter
from tests.egress.linux import needs_sandbox
from tests.egress.trap_rig import Rig
from tests.egress.trap_servers import servers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_sandbox
NOBODY = 65534
PR_SET_DUMPABLE = 4


def exit_code_of(function: Callable[[], None]) -> int:
    """Run a function in a child and return 0 if it returned."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:  # noqa: BLE001 - this process ends here
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        prctl(PR_SET_DUMPABLE, 1)  # as if started by that account


async def serve(ours: socket.socket, theirs: socket.socket) -> None:
    async with servers() as ports:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                enter(theirs, is_locked=True)
                code = 0 if behave(ports) else 2
            except BaseException:  # noqa: BLE001 - this process ends here
                traceback.print_exc()
            finally:
                os._exit(code)
        rig = Rig()
        await rig.open_door(ours)
        ended = asyncio.get_running_loop().run_in_executor(None, os.waitpid, pid, 0)
        _, status = await ended
        assert rig.door is not None
        rig.door.close()
        assert status == 0
        assert rig.events().count("open connected") == 2


def behave(ports: dict[str, int]) -> bool:
    with socket.create_connection(("127.0.0.1", ports["echo"])) as sock:
        assert echo_works(sock)
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", ports["closed"])) != 0
        assert sock.connect_ex(("127.0.0.1", ports["echo"])) == 0
    assert behaviours.own_server({}) == [True, "ping", "127.0.0.1", "127.0.0.1"]
    return True


def whole_thing() -> None:
    become_nobody()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        asyncio.run(serve(ours, theirs))


def test_it_needs_no_root() -> None:
    assert exit_code_of(whole_thing) == 0
