"""Resetting a connection that another process holds."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from longshore.egress.holders import reset_held
from tests.egress.audited import tcp_pair

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of others are reached by means of Linux")


def test_a_connection_of_another_process_is_reset() -> None:
    with tcp_pair() as (ours, theirs):
        inode = os.fstat(ours.fileno()).st_ino
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                theirs.close()
                os.write(ready[1], b"!")
                os.read(go[0], 1)
                ours.recv(1)
            except ConnectionResetError:
                code = 0
            finally:
                os._exit(code)
        ours.close()
        try:
            os.read(ready[0], 1)
            assert reset_held(inode)
            with pytest.raises(ConnectionResetError):
                theirs.recv(1)
            os.write(go[1], b"!")
        finally:
            for end in (*ready, *go):
                os.close(end)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0


def test_what_nobody_holds_is_not_found() -> None:
    with socket.socket() as sock:
        inode = os.fstat(sock.fileno()).st_ino
    assert not reset_held(inode)
