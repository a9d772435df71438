"""``UnixConnects``: connect(2) of Unix and other sockets where Landlock does not stand behind the filter (shell).

Such a call must not be let through: its socket may be exchanged for one of the host's network in the last moment. So it
is carried out here, on a duplicate. The server then sees the egress process as its peer (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_caller import connect_nowait, is_blocking
from longshore.sandbox.foreign import open_in_root
from longshore.sandbox.structs import AF_UNIX, make_unix_sockaddr, parse_family, unix_path

if TYPE_CHECKING:
    import socket

    from longshore.egress.trap_caller import Trapped
    from longshore.sandbox.structs import Notification

__all__ = ["UnixConnects"]

# A Unix socket whose server has a full backlog cannot be polled for it.
_RETRY_S: Final = 0.01


class UnixConnects:
    """Carries out connects that are none of IPv4 and IPv6.

    Args:
        trapped: the worker's processes.
    """

    def __init__(self, trapped: Trapped) -> None:
        self._trapped = trapped
        self._loop = asyncio.get_running_loop()
        self._retries: dict[int, tuple[asyncio.TimerHandle, socket.socket]] = {}

    def close(self) -> None:
        """Give up those that wait."""
        for handle, sock in self._retries.values():
            handle.cancel()
            sock.close()
        self._retries.clear()

    def connect(self, call: Notification, raw: bytes, sock: socket.socket) -> None:
        """Answer a connect, now or later.

        Args:
            call: the call.
            raw: the address, as the worker gave it.
            sock: the socket; belongs to this object from now on.
        """
        try:
            code = self._try(call, raw, sock)
        except BaseException:
            sock.close()
            raise
        if code == errno.EAGAIN and is_blocking(sock):
            handle = self._loop.call_later(_RETRY_S, self._again, call, raw, sock)
            self._retries[call.id] = (handle, sock)
            return
        sock.close()
        self._trapped.listener.answer(call.id, code)

    def _again(self, call: Notification, raw: bytes, sock: socket.socket) -> None:
        del self._retries[call.id]
        if not self._trapped.listener.is_valid(call.id):
            sock.close()
            return
        try:
            self.connect(call, raw, sock)
        except OSError as exc:
            self._trapped.listener.answer(call.id, exc.errno or errno.EIO)

    def _try(self, call: Notification, raw: bytes, sock: socket.socket) -> int:
        path = unix_path(raw) if sock.family == AF_UNIX and parse_family(raw) == AF_UNIX else b""
        if not path:
            return connect_nowait(sock, raw)  # an abstract name, or an error
        # Both links lead into the worker's own view of files, which the path must not leave.
        absolute = posixpath.join(os.fsencode(os.readlink(f"/proc/{call.tid}/cwd")), path)
        root = os.open(f"/proc/{call.tid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            target = open_in_root(root, absolute)
        finally:
            os.close(root)
        try:
            self._trapped.check_alive(call)
            return connect_nowait(sock, make_unix_sockaddr(f"/proc/self/fd/{target}"))
        finally:
            os.close(target)
