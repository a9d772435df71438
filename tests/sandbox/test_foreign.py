"""Reaching into another process: here, a child that waits."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.sandbox import foreign
from longshore.sandbox.foreign import (
    Descriptors,
    bind_raw,
    connect_raw,
    open_in_root,
    read_memory,
    write_memory,
)
from longshore.sandbox.structs import make_unix_sockaddr
from tests.egress.linux import needs_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_sandbox


@contextmanager
def child() -> Iterator[int]:
    """Yield the id of a process that does nothing, a copy of this one."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_memory_is_read_and_written() -> None:
    buffer = ctypes.create_string_buffer(b"before" + bytes(300), 306)
    with child() as pid:
        write_memory(pid, ctypes.addressof(buffer), b"afterw")
        assert read_memory(pid, ctypes.addressof(buffer), 6) == b"afterw"
        assert read_memory(pid, ctypes.addressof(buffer), 306) == b"afterw" + bytes(300)
    assert buffer.value == b"before", "it was the child's"


def test_what_is_not_there_cannot_be_read() -> None:
    with child() as pid, pytest.raises(OSError, match="Bad address"):
        read_memory(pid, 8, 16)
    with pytest.raises(ProcessLookupError):
        read_memory(pid, 8, 16)


def test_a_buffer_that_ends_in_the_middle_is_not_read() -> None:
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
    libc.munmap(page + 4096, 4096)
    assert read_memory(os.getpid(), page + 4080, 16) == bytes(16)
    with pytest.raises(OSError, match="Bad address"):
        read_memory(os.getpid(), page + 4090, 16)


def test_descriptors_are_duplicated_as_long_as_the_thread_lives() -> None:
    ours, theirs = socket.socketpair()
    descriptors = Descriptors()
    with ours, theirs:
        with child() as pid:
            for _ in range(2):
                with socket.socket(fileno=descriptors.duplicate(pid, theirs.fileno())) as copy:
                    assert not copy.get_inheritable()
                    copy.send(b"x")
                    assert ours.recv(1) == b"x"
            with pytest.raises(OSError, match="Bad file descriptor"):
                descriptors.duplicate(pid, 999)
        with pytest.raises(ProcessLookupError):
            descriptors.duplicate(pid, theirs.fileno())
    descriptors.close()


def test_handles_on_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "_KEPT_PIDFDS", 2)
    before = len(os.listdir("/proc/self/fd"))
    descriptors = Descriptors()
    for _ in range(4):
        with child() as pid:
            os.close(descriptors.duplicate(pid, 0))
    assert len(os.listdir("/proc/self/fd")) == before + 2
    descriptors.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_older_kernels_have_handles_of_processes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.pidfd_open

    def pidfd_open(pid: int, flags: int = 0) -> int:
        if flags:
            raise OSError(errno.EINVAL, "before 6.9")
        return opened(pid)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    descriptors = Descriptors()
    with child() as pid:
        os.close(descriptors.duplicate(pid, 0))
    descriptors.close()


def test_addresses_as_bytes(tmp_path: Path) -> None:
    path = make_unix_sockaddr(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        assert connect_raw(client.fileno(), path) == errno.ENOENT
        assert bind_raw(server.fileno(), path) == 0
        assert bind_raw(server.fileno(), path) == errno.EADDRINUSE
        server.listen()
        assert connect_raw(client.fileno(), path) == 0


def test_no_path_leads_out_of_a_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("inside")
    (tmp_path / "link").symlink_to("/file")
    (tmp_path / "etc").mkdir()
    root = os.open(tmp_path, os.O_PATH)
    try:
        for path in (b"/file", b"/link", b"/../../file", b"/etc/../../../file"):
            fd = open_in_root(root, path)
            assert Path(f"/proc/self/fd/{fd}").read_text() == "inside"
            os.close(fd)
        with pytest.raises(FileNotFoundError):
            open_in_root(root, b"/etc/passwd")
    finally:
        os.close(root)
