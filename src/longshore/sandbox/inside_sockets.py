"""Sockets of a worker's network namespace, made on request for the egress process, which lives outside of it.

``serve_one`` is the inside end (the jail's first process has it), ``InsideSockets`` the outside end. They speak over an
``AF_UNIX`` ``SOCK_SEQPACKET`` pair: the request is ``family, type, protocol`` as three C ints, the answer an errno as
one C int, with the socket beside it (``SCM_RIGHTS``) when that is 0.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

__all__ = ["InsideSockets", "inside_pair", "serve_one"]

_REQUEST = struct.Struct("=iii")
_ANSWER = struct.Struct("=i")
_FD = struct.Struct("=i")
_PATIENCE_S = 2.0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class InsideSockets:
    """Makes sockets inside; not to be used by two threads at a time.

    Args:
        sock: the outside end of the pair; belongs to this object from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(_PATIENCE_S)
        self._sock = sock

    def make(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a new socket of the worker's network namespace.

        Blocks until it is there, which takes some tens of microseconds.

        Args:
            family: ``AF_INET`` and the like.
            kind: ``SOCK_STREAM`` and the like, with ``SOCK_NONBLOCK`` where that is wanted.
            protocol: as for socket(2).

        Raises:
            OSError: the kernel made none, or the jail is gone (``ESHUTDOWN``), or does not answer (``TimeoutError``).
        """
        try:
            self._sock.send(_REQUEST.pack(family, kind, protocol))
            # Not `socket.recv_fds`, which drops its flags (Python 3.11).
            data, ancillary, _, _ = self._sock.recvmsg(_ANSWER.size, socket.CMSG_LEN(_FD.size), _CLOSE_ON_EXEC)
        except TimeoutError:
            self.close()  # an answer that comes late must not be taken for that to the next request
            raise
        if len(data) < _ANSWER.size:
            raise OSError(errno.ESHUTDOWN, os.strerror(errno.ESHUTDOWN))
        (number,) = _ANSWER.unpack(data)
        if number or not ancillary:
            number = number or errno.EMFILE  # no room for what was sent
            raise OSError(number, os.strerror(number))
        (fd,) = _FD.unpack(ancillary[0][2])
        return socket.socket(fileno=fd)

    def close(self) -> None:
        """Let go of the inside."""
        self._sock.close()


def inside_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def serve_one(sock: socket.socket) -> bool:
    """Answer one request, waiting for it; False when the outside is gone."""
    try:
        request = sock.recv(_REQUEST.size + 1)
        if not request:
            return False
        _answer(sock, request)
    except OSError:
        return False
    return True


def _answer(sock: socket.socket, request: bytes) -> None:
    if len(request) != _REQUEST.size:
        sock.send(_ANSWER.pack(errno.EINVAL))
        return
    try:
        made = socket.socket(*_REQUEST.unpack(request))
    except OSError as exc:
        sock.send(_ANSWER.pack(exc.errno or errno.EIO))
        return
    with made:
        socket.send_fds(sock, [_ANSWER.pack(0)], [made.fileno()])
