"""bind(2), listen(2) and interface ioctls of a worker: they stay in its own network (shell)."""

from __future__ import annotations

import errno
import fcntl
import socket
from array import array
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_caller import is_unconnected
from longshore.egress.trap_decision import READABLE_IOCTLS, SIOCGIFCONF
from longshore.sandbox.foreign import bind_raw, read_memory, write_memory
from longshore.sandbox.structs import AF_INET, AF_INET6, IFCONF_BYTES, pack_ifconf, to_int, unpack_ifconf

if TYPE_CHECKING:
    from longshore.egress.context import WorkerContext
    from longshore.egress.trap_caller import Trapped
    from longshore.sandbox.structs import Notification

__all__ = ["LocalCalls"]

_INET: Final = (AF_INET, AF_INET6)
_IFREQ_BYTES: Final = 40
# A worker has one interface; this is room for hundreds.
_MAX_IFCONF_BYTES: Final = 16_384


class LocalCalls:
    """Answers calls that need no connection.

    Args:
        context: of the worker.
        trapped: its processes.
        listening: filled with the ports on which it listens inside.
    """

    def __init__(self, context: WorkerContext, trapped: Trapped, listening: set[int]) -> None:
        self._context = context
        self._trapped = trapped
        self._listening = listening

    def bind(self, call: Notification) -> int | None:
        """Return the answer to a bind; None: the kernel carries it out."""
        with self._trapped.socket_of(call) as sock:
            if sock.family not in _INET:
                # A Unix socket's name is looked up in the worker's files, from which we are far away. A worker that
                # exchanges the socket in this moment is stopped by Landlock, and without that binds a port of the host,
                # at which it cannot listen.
                self._trapped.listener.let_through(call.id)
                return None
            raw = self._trapped.address_of(call)
            self._trapped.check_alive(call)
            if not self._trapped.is_outside(sock):
                return bind_raw(sock.fileno(), raw)
            if sock.type != socket.SOCK_STREAM or not is_unconnected(sock):
                self._context.audit.refuse("bind", "a socket of the host's network")
                return errno.EINVAL
            with self._trapped.make_inside(sock) as mine:
                self._trapped.exchange(call, mine)
                return bind_raw(mine.fileno(), raw)

    def listen(self, call: Notification) -> int:
        """Return the answer to a listen."""
        backlog = to_int(call.args[1])
        with self._trapped.socket_of(call) as sock:
            self._trapped.check_alive(call)
            if sock.family not in _INET or not self._trapped.is_outside(sock):
                return self._listen(sock, backlog)
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                # The one the host gave it to serve at: servers call listen() on that again.
                return _listen(sock, backlog)
            if sock.type != socket.SOCK_STREAM or not is_unconnected(sock):
                self._context.audit.refuse("listen", "a socket of the host's network")
                return errno.EINVAL
            with self._trapped.make_inside(sock) as mine:
                self._trapped.exchange(call, mine)
                return self._listen(mine, backlog)

    def ioctl(self, call: Notification) -> int:
        """Return the answer to an ioctl about network interfaces."""
        command, address = call.args[1] & 0xFFFF_FFFF, call.args[2]
        try:
            sock = self._trapped.socket_of(call)
        except OSError as exc:
            return errno.ENOTTY if exc.errno == errno.ENOTSOCK else exc.errno or errno.EIO
        with sock:
            self._trapped.check_alive(call)
            if self._trapped.is_outside(sock):
                # It would tell of the host's interfaces.
                self._context.audit.refuse("ioctl", f"{command:#06x} on a socket of the host's network")
                return errno.EPERM
            if command == SIOCGIFCONF:
                return self._list_interfaces(call, sock, address)
            if command not in READABLE_IOCTLS:
                return errno.EPERM
            # Carried out on copies, not let through: the worker might exchange the socket in this moment.
            answer = fcntl.ioctl(sock, command, read_memory(call.tid, address, _IFREQ_BYTES))
            self._trapped.check_alive(call)
            write_memory(call.tid, address, answer)
            return 0

    def _list_interfaces(self, call: Notification, sock: socket.socket, address: int) -> int:
        wanted, buffer = unpack_ifconf(read_memory(call.tid, address, IFCONF_BYTES))
        room = array("b", bytes(min(max(wanted, 0), _MAX_IFCONF_BYTES)))
        # Without a buffer the kernel says how large one is needed.
        ours = pack_ifconf(len(room), room.buffer_info()[0] if buffer else 0)
        length, _ = unpack_ifconf(fcntl.ioctl(sock, SIOCGIFCONF, ours))
        self._trapped.check_alive(call)
        if buffer and length:
            write_memory(call.tid, buffer, room.tobytes()[:length])
        write_memory(call.tid, address, pack_ifconf(length, buffer))
        return 0

    def _listen(self, sock: socket.socket, backlog: int) -> int:
        code = _listen(sock, backlog)
        if not code and sock.family in _INET:
            self._listening.add(sock.getsockname()[1])
        return code


def _listen(sock: socket.socket, backlog: int) -> int:
    try:
        sock.listen(backlog)
    except OSError as exc:
        return exc.errno or errno.EIO
    return 0
