"""The listener by itself, answered by hand; what it does with real programs is in ``tests/egress/test_traps.py``."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from longshore.sandbox.notify import Listener
from longshore.sandbox.seccomp import install_filter
from longshore.sandbox.structs import to_int
from longshore.sandbox.syscalls import abi_of
from tests.egress.linux import needs_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_sandbox
ABI = abi_of(os.uname().machine)


@contextmanager
def trapped(function: Callable[[], int]) -> Iterator[tuple[Listener, int]]:
    """Yield the listener of a child, which ends with what ``function`` returns, and the child's id."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            key = install_filter()
            socket.send_fds(theirs, [b"x"], [key])
            os.close(key)
            theirs.recv(1)
            os._exit(function())
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        listener = Listener(fds[0])
        ours.send(b"x")
        try:
            yield listener, pid
        finally:
            listener.close()
            listener.close()
            try:
                os.kill(pid, signal.SIGKILL)
            finally:
                os.waitpid(pid, 0)


def wait(listener: Listener) -> None:
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    assert poll.poll(10_000)


def exit_code(pid: int) -> int:
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert info is not None
    return info.si_status


def connect_errno() -> int:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex("/nowhere")


def use_socket() -> int:
    try:
        with socket.socket() as sock:
            return 100 if sock.get_inheritable() else 101
    except OSError as exc:
        return exc.errno or 0


def test_a_call_is_seen_and_answered_with_an_errno() -> None:
    with trapped(connect_errno) as (listener, pid):
        wait(listener)
        call = listener.receive()
        assert call is not None
        assert ABI is not None
        assert (call.tid, call.number) == (pid, ABI.numbers["connect"])
        assert listener.is_valid(call.id)
        assert listener.receive() is None
        listener.answer(call.id, errno.EXDEV)
        assert exit_code(pid) == errno.EXDEV
        assert not listener.is_valid(call.id)
        listener.answer(call.id)  # nobody is there any more
        with pytest.raises(EOFError):
            listener.receive()


def test_a_call_is_let_through() -> None:
    with trapped(connect_errno) as (listener, pid):
        wait(listener)
        call = listener.receive()
        assert call is not None
        listener.let_through(call.id)
        assert exit_code(pid) == errno.ENOENT


def test_a_descriptor_is_the_result() -> None:
    with trapped(use_socket) as (listener, pid), socket.socket() as sock:
        wait(listener)
        call = listener.receive()
        assert call is not None
        assert [to_int(each) for each in call.args[:2]] == [socket.AF_INET, socket.SOCK_STREAM | 0o2000000]
        listener.answer_with_fd(call.id, sock.fileno(), is_cloexec=True)
        assert exit_code(pid) == 101


def test_a_descriptor_is_replaced() -> None:
    with trapped(connect_errno) as (listener, pid), socket.socket() as sock:
        wait(listener)
        call = listener.receive()
        assert call is not None
        before = os.readlink(f"/proc/{pid}/fd/{call.args[0]}")
        listener.replace_fd(call.id, sock.fileno(), call.args[0], is_cloexec=True)
        after = os.readlink(f"/proc/{pid}/fd/{call.args[0]}")
        assert after == os.readlink(f"/proc/self/fd/{sock.fileno()}") != before
        listener.answer(call.id)


def test_a_process_that_is_killed_needs_no_answer() -> None:
    with trapped(use_socket) as (listener, pid), socket.socket() as sock:
        wait(listener)
        call = listener.receive()
        assert call is not None
        os.kill(pid, signal.SIGKILL)
        assert exit_code(pid) == signal.SIGKILL
        assert not listener.is_valid(call.id)
        listener.answer(call.id, errno.EIO)
        with pytest.raises(FileNotFoundError):
            listener.answer_with_fd(call.id, sock.fileno(), is_cloexec=True)


def test_a_notification_whose_thread_is_gone_is_none() -> None:
    with trapped(use_socket) as (listener, pid):
        wait(listener)
        os.kill(pid, signal.SIGKILL)
        exit_code(pid)
        with pytest.raises(EOFError):
            listener.receive()


def test_a_closed_listener_answers_nothing() -> None:
    with trapped(use_socket) as (listener, pid):
        wait(listener)
        call = listener.receive()
        assert call is not None
        listener.close()
        listener.answer(call.id)
        assert exit_code(pid) == errno.ENOSYS
