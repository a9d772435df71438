"""``Trapped``: what a handler of a trapped call needs of the process that made it (shell).

A handler gets a descriptor's duplicate and a copy of memory, then asks whether the call still waits, and from then on
acts on these alone: nothing another thread of the worker does in the meantime changes what was judged.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_decision import MISMATCHED, WAS_UNCONNECTED, cloexec_of_fdinfo, length_error
from longshore.egress.trap_options import copy_settings
from longshore.sandbox.foreign import Descriptors, connect_raw, pidfd_of_thread, read_memory
from longshore.sandbox.structs import AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, to_int

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.sandbox.inside_sockets import InsideSockets
    from longshore.sandbox.notify import Listener
    from longshore.sandbox.structs import Notification

__all__ = [
    "GoneError",
    "Trapped",
    "begin_connect",
    "connect_again",
    "connect_nowait",
    "family_of",
    "has_failed",
    "is_blocking",
    "is_unconnected",
    "nonblocking",
    "type_of",
]

_SO_NETNS_COOKIE: Final = 71
_SO_NETNS_COOKIE_BYTES: Final = 8
# What the filter lets a worker make. Another one would be taken for a Unix socket, and go where nobody has looked.
_FAMILIES: Final = frozenset({AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
_SO_PROTOCOL: Final = getattr(socket, "SO_PROTOCOL", 38)


# Without the detour over an enumeration that these attributes of `socket.socket` take, several times in each connect.
family_of: Callable[[socket.socket], int] = socket.SocketType.family.__get__
type_of: Callable[[socket.socket], int] = socket.SocketType.type.__get__


class GoneError(Exception):
    """The thread that made the call was killed; nobody waits for an answer."""


class Trapped:
    """One worker's processes, seen through its listener.

    Args:
        listener: of the worker; not closed by this.
        inside: makes sockets inside; closed by ``close``.
    """

    def __init__(self, listener: Listener, inside: InsideSockets) -> None:
        self.listener = listener
        self._inside = inside
        self._descriptors = Descriptors()
        self._host_network = _own_network()

    def close(self) -> None:
        """Let go of the worker."""
        self._descriptors.close()
        self._inside.close()

    def socket_of(self, call: Notification) -> socket.socket:
        """Return a duplicate of the socket that is the call's first argument.

        Raises:
            OSError: it is none (EBADF, ENOTSOCK), or of a kind that is not judged here (EAFNOSUPPORT).
        """
        fd = self._descriptors.duplicate(call.tid, to_int(call.args[0]))
        try:
            sock = socket.socket(fileno=fd)
        except BaseException:
            os.close(fd)
            raise
        if family_of(sock) not in _FAMILIES:
            sock.close()
            raise OSError(errno.EAFNOSUPPORT, "no worker can make such a socket")
        return sock

    def address_of(self, call: Notification) -> bytes:
        """Return a copy of the address that the second and third argument describe.

        Raises:
            OSError: it cannot be read (EFAULT) or is too long (EINVAL).
        """
        length = to_int(call.args[2])
        if code := length_error(length):
            raise OSError(code, os.strerror(code))
        return read_memory(call.tid, call.args[1], length) if length else b""

    def check_alive(self, call: Notification) -> None:
        """Check that what was read belongs to the call.

        Raises:
            GoneError: it may not.
        """
        if not self.listener.is_valid(call.id):
            raise GoneError

    def kill(self, call: Notification) -> None:
        """Kill the process that made the call.

        Raises:
            GoneError: it was killed already.
            OSError: it cannot be.
        """
        pidfd = pidfd_of_thread(call.tid)
        try:
            self.check_alive(call)  # from here on the handle is that of the caller
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)

    def is_outside(self, sock: socket.socket) -> bool:
        """Return whether a socket belongs to our own network, which is the host's."""
        return sock.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _SO_NETNS_COOKIE_BYTES) == self._host_network

    def make_inside(self, like: socket.socket) -> socket.socket:
        """Return a new TCP socket of the worker's network with the settings of ``like``.

        Raises:
            OSError: there is none to be had.
        """
        return _with_settings(self._inside.make(like.family, socket.SOCK_STREAM, 0), like)

    def make_new_inside(self, family: int) -> socket.socket:
        """Return a new TCP socket of the worker's network that does not block.

        Raises:
            OSError: there is none to be had.
        """
        return self._inside.make(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)

    def make_outside(self, like: socket.socket) -> socket.socket:
        """Return a new TCP socket of the host's network with the settings of ``like``.

        Raises:
            OSError: there is none to be had.
        """
        return _with_settings(socket.socket(like.family, socket.SOCK_STREAM), like)

    def exchange(self, call: Notification, new: socket.socket) -> None:
        """Put ``new`` in the place of the call's socket.

        Only this one descriptor is exchanged: duplicates of it, and registrations with epoll, keep the old socket.

        Raises:
            GoneError: the thread was killed.
        """
        fd = to_int(call.args[0])
        try:
            fdinfo = Path(f"/proc/{call.tid}/fdinfo/{fd}").read_bytes()
            self.listener.replace_fd(call.id, new.fileno(), fd, is_cloexec=cloexec_of_fdinfo(fdinfo))
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                raise GoneError from exc
            raise

    def hand_over(self, call: Notification, old: socket.socket, new: socket.socket, code: int | None) -> int | None:
        """Close what is left of an exchange, and give the answer if it is there.

        Returns:
            ``code`` when nothing was exchanged, otherwise None: there is nothing left to do.
        """
        if new is old:
            return code
        old.close()
        if code is not None:
            new.close()
            self.listener.answer(call.id, code)
        return None


def is_blocking(sock: socket.socket) -> bool:
    """Return whether the worker wants calls on this socket to wait."""
    return not fcntl.fcntl(sock, fcntl.F_GETFL) & os.O_NONBLOCK


class nonblocking:  # noqa: N801 - a context manager, spelled like the functions of contextlib
    """Makes calls on a socket return at once, for a moment: its flags are shared with the worker.

    Its value is whether they would wait otherwise. (A generator would take twice as long, twice in each connect.)
    """

    __slots__ = ("_flags", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._flags = 0

    def __enter__(self) -> bool:
        """Make it non-blocking."""
        self._flags = flags = fcntl.fcntl(self._sock, fcntl.F_GETFL)
        if flags & os.O_NONBLOCK:
            return False
        fcntl.fcntl(self._sock, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        return True

    def __exit__(self, *_exc_info: object) -> None:
        """Make it again what it was."""
        if not self._flags & os.O_NONBLOCK:
            fcntl.fcntl(self._sock, fcntl.F_SETFL, self._flags)


def connect_again(sock: socket.socket) -> int:
    """Return what connect(2) says to a socket that need not be fresh; ``WAS_UNCONNECTED`` if it is.

    To be called while it does not block.
    """
    return connect_raw(sock.fileno(), MISMATCHED[family_of(sock)])


def connect_nowait(sock: socket.socket, sockaddr: bytes) -> int:
    """Call connect(2) without waiting; return 0 or the errno."""
    with nonblocking(sock):
        return connect_raw(sock.fileno(), sockaddr)


def begin_connect(sock: socket.socket, sockaddr: bytes) -> int:
    """Start to connect a socket as its owner would.

    Returns:
        0, an errno, EINPROGRESS for a non-blocking one, or EALREADY for a blocking one that has to wait.
    """
    with nonblocking(sock) as is_waited_for:
        code = connect_raw(sock.fileno(), sockaddr)
        if code == errno.EINPROGRESS and is_waited_for:
            # Within one machine the handshake is over by now.
            code = connect_again(sock)
    return code


def has_failed(sock: socket.socket) -> bool:
    """Return whether a connecting socket was refused already; its error stays where it is."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    events = poll.poll(0)
    return bool(events and events[0][1] & select.POLLERR)


def is_unconnected(sock: socket.socket) -> bool:
    """Return whether a TCP socket has no connection, makes none and does not listen."""
    with nonblocking(sock):
        return connect_again(sock) == WAS_UNCONNECTED


def _with_settings(new: socket.socket, like: socket.socket) -> socket.socket:
    try:
        copy_settings(like, new)
    except BaseException:
        new.close()
        raise
    return new


def _own_network() -> bytes:
    with socket.socket(AF_INET, socket.SOCK_STREAM) as sock:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _SO_NETNS_COOKIE_BYTES)
