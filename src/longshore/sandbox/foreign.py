"""Reach into another process: its memory, its descriptors; and addresses of sockets as raw bytes (Linux 5.6 and later).

A thread is named by its id, which is good only as long as it lives: see rule 2 of ``notify``.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.sandbox.kernel import system_call

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Descriptors", "bind_raw", "connect_raw", "open_in_root", "pidfd_of_thread", "read_memory", "write_memory"]

_PIDFD_GETFD: Final = 438
_OPENAT2: Final = 437
_RESOLVE_IN_ROOT: Final = 0x10
_SMALL_BYTES: Final = 128
_PIDFD_THREAD: Final = os.O_EXCL
# Every thread that connects has one while it is in the table.
_KEPT_PIDFDS: Final = 256


# struct iovec { void *iov_base; size_t iov_len; }
_IOVEC_BYTES: Final = 2 * ctypes.sizeof(ctypes.c_ulong)
_Iovecs = ctypes.c_ulong * 4


def read_memory(tid: int, address: int, length: int) -> bytes:
    """Return ``length`` bytes of another process.

    Raises:
        OSError: some of them cannot be read (EFAULT), or the thread is gone (ESRCH), or is none of ours (EPERM).
    """
    buffer = _small_buffer() if length <= _SMALL_BYTES else ctypes.create_string_buffer(length)
    _transfer("process_vm_readv", tid, buffer, address, length)
    return buffer.raw[:length]


def write_memory(tid: int, address: int, data: bytes) -> None:
    """Write into another process.

    Raises:
        OSError: as for ``read_memory``.
    """
    _transfer("process_vm_writev", tid, ctypes.create_string_buffer(data, len(data)), address, len(data))


def connect_raw(fd: int, sockaddr: bytes) -> int:
    """Call connect(2); return 0 or the errno. The socket must not block."""
    return _call_with_address("connect", fd, sockaddr)


def bind_raw(fd: int, sockaddr: bytes) -> int:
    """Call bind(2); return 0 or the errno."""
    return _call_with_address("bind", fd, sockaddr)


def open_in_root(root: int, path: bytes) -> int:
    """Return an ``O_PATH`` descriptor of ``path``, where ``root`` is ``/``: no link and no ``..`` leads out of it.

    Raises:
        OSError: there is no such file, or it may not be looked up.
    """
    # struct open_how { u64 flags; u64 mode; u64 resolve; }
    how = ctypes.create_string_buffer(struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT), 24)
    name = ctypes.create_string_buffer(path)
    return system_call(_OPENAT2, root, ctypes.addressof(name), ctypes.addressof(how), len(how))


class Descriptors:
    """Duplicates descriptors of other processes; keeps a handle on each thread that was asked about lately."""

    def __init__(self) -> None:
        self._pidfds: OrderedDict[int, int] = OrderedDict()

    def duplicate(self, tid: int, fd: int) -> int:
        """Return a duplicate of descriptor ``fd`` of thread ``tid``, close-on-exec.

        Raises:
            OSError: it has no such descriptor (EBADF), or is gone (ESRCH), or we have too many (EMFILE).
        """
        pidfd = self._pidfds.get(tid)
        if pidfd is not None:
            try:
                return system_call(_PIDFD_GETFD, pidfd, fd, 0)
            except OSError as exc:
                if exc.errno != errno.ESRCH:
                    raise
            # That thread is gone, and its number has been given to another one.
            os.close(self._pidfds.pop(tid))
        return system_call(_PIDFD_GETFD, self._open(tid), fd, 0)

    def close(self) -> None:
        """Let go of all threads."""
        while self._pidfds:
            os.close(self._pidfds.popitem()[1])

    def _open(self, tid: int) -> int:
        while len(self._pidfds) >= _KEPT_PIDFDS:
            os.close(self._pidfds.popitem(last=False)[1])
        self._pidfds[tid] = pidfd = pidfd_of_thread(tid)
        return pidfd


def pidfd_of_thread(tid: int) -> int:
    """Return a handle on a thread; on its process, where the kernel has no handles on threads.

    Raises:
        OSError: it is gone (ESRCH), or there are too many open files.
    """
    try:
        return os.pidfd_open(tid, _PIDFD_THREAD)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
    # Before Linux 6.9 there are handles of whole processes only. Threads of one that do not share a descriptor table
    # (unshare(CLONE_FILES)) get their leader's descriptor; it is judged all the same.
    return os.pidfd_open(_process_of_thread(tid))


def _process_of_thread(tid: int) -> int:
    status = Path(f"/proc/{tid}/status").read_bytes()
    return int(status.partition(b"\nTgid:")[2].split(None, 1)[0])


def _transfer(function: str, tid: int, buffer: ctypes.Array[ctypes.c_char], address: int, length: int) -> None:
    # Both vectors in one object: ctypes takes longer to make one than the kernel takes for the copy.
    vectors = _Iovecs(ctypes.addressof(buffer), length, address, length)
    ours = ctypes.addressof(vectors)
    done = _function(function)(tid, ours, 1, ours + _IOVEC_BYTES, 1, 0)
    if done == length:
        return
    code = ctypes.get_errno() if done < 0 else errno.EFAULT
    raise OSError(code, os.strerror(code))


def _call_with_address(function: str, fd: int, sockaddr: bytes) -> int:
    # Called without letting go of the GIL: it does not block, and doing so costs more than the call.
    if _function(function)(fd, sockaddr, len(sockaddr)) == 0:
        return 0
    return ctypes.get_errno()


@functools.cache
def _small_buffer() -> ctypes.Array[ctypes.c_char]:
    # Kept: nobody else runs between the kernel's filling it and its being copied.
    return ctypes.create_string_buffer(_SMALL_BYTES)


@functools.cache
def _function(name: str) -> Callable[..., int]:
    function = getattr(ctypes.PyDLL(None, use_errno=True), name)
    if name.startswith("process_vm"):
        function.restype = ctypes.c_ssize_t
        vector = (ctypes.c_void_p, ctypes.c_ulong)
        function.argtypes = (ctypes.c_int, *vector, *vector, ctypes.c_ulong)
    else:
        function.restype = ctypes.c_int
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
    return function  # type: ignore[no-any-return]
