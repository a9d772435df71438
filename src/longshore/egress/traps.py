"""``TrapDoor``: answers the system calls of one worker that its seccomp filter shows to us (shell).

Theory of operation. A thread of the worker that calls ``socket`` (for TCP), ``connect``, ``bind``, ``listen`` or an
ioctl about interfaces sleeps in the kernel until it is answered here. TCP sockets are *born outside*: made here, in the
host's network, and handed over as the result of the worker's ``socket()``. The worker's ``connect()`` is then carried
out here on a duplicate, so that the descriptor and everything that refers to it (epoll, ``dup``, ``fork``) is the
connection's from the beginning. What reads and writes does not pass here.

Rules that must not be broken:

1. Every notification is answered, whatever happens (``_answer``): one that is not holds a thread of the worker for
   ever.
2. Nothing waits here. What takes time is in ``Waiting``, or is a task.
3. A call that concerns IPv4 or IPv6 is never let through (``CONTINUE``): between check and use another thread may
   change memory and descriptors. Connects of Unix sockets are let through only where Landlock stands behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from longshore.egress.trap_caller import GoneError, Trapped, family_of
from longshore.egress.trap_connect import Connects
from longshore.egress.trap_decision import is_cloexec, is_nonblocking, socket_error
from longshore.egress.trap_local import LocalCalls
from longshore.egress.trap_outbound import Relay
from longshore.egress.trap_refusals import foreign_call, is_refused_ioctl, is_tcp, refused_detail, refused_errno
from longshore.egress.trap_unix import UnixConnects
from longshore.sandbox.notify import Listener
from longshore.sandbox.structs import AF_INET, AF_INET6, AF_UNIX, parse_family, to_int
from longshore.sandbox.syscalls import abi_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.core.host_syntax import IpAddress
    from longshore.egress.context import WorkerContext
    from longshore.sandbox.inside_sockets import InsideSockets
    from longshore.sandbox.structs import Notification

__all__ = ["Relay", "TrapDoor"]

logger = logging.getLogger(__name__)

# Then other work of the loop has its turn. 64 connects take about 3 ms.
_AT_A_TIME: Final = 64
_NAME_SERVER_PORT: Final = 53


class _Stock:
    """Sockets that were made before they are asked for: one of each kind that was asked for lately."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, bool], socket.socket] = {}
        self._taken: tuple[int, bool] | None = None

    def take(self, family: int, *, is_nonblocking: bool) -> socket.socket:
        self._taken = (family, is_nonblocking)
        return self._made.pop(self._taken, None) or _make(family, is_nonblocking=is_nonblocking)

    def refill(self) -> None:
        if self._taken is not None and self._taken not in self._made:
            family, is_nonblocking = self._taken
            with contextlib.suppress(OSError):  # too many open files: whoever needs it is told, and not we
                self._made[self._taken] = _make(family, is_nonblocking=is_nonblocking)

    def close(self) -> None:
        while self._made:
            self._made.popitem()[1].close()


def _make(family: int, *, is_nonblocking: bool) -> socket.socket:
    return socket.socket(family, socket.SOCK_STREAM | (socket.SOCK_NONBLOCK if is_nonblocking else 0))


class TrapDoor:
    """The door for unmodified clients: their own ``socket(2)`` and ``connect(2)``.

    Args:
        context: of the worker.
        notify: the seccomp listener; belongs to this object from now on.
        inside: makes sockets inside the worker's network namespace; belongs to this object from now on.
        is_tcp_locked: Landlock forbids TCP to the worker's own calls (layer ``landlock-tcp``). Without it connects of
            Unix sockets are carried out here, which takes longer and shows the egress process as their peer.
        relay: where connections to the private names of bindings go.
    """

    def __init__(
        self,
        context: WorkerContext,
        notify: int,
        inside: InsideSockets,
        *,
        is_tcp_locked: bool = False,
        relay: Relay | None = None,
    ) -> None:
        self._listener = Listener(notify)
        self._trapped = trapped = Trapped(self._listener, inside)
        self._is_tcp_locked = is_tcp_locked
        self._loop = asyncio.get_running_loop()
        # The name server of the worker is inside, and was there before the first listen().
        listening = {_NAME_SERVER_PORT}
        self._connects = Connects(context, trapped, listening, relay)
        self._unix = UnixConnects(trapped)
        local = LocalCalls(context, trapped, listening)
        abi = abi_of(os.uname().machine)
        assert abi is not None, "a filter was installed on this machine"
        numbers = abi.numbers
        self._audit = context.audit
        self._arch = abi.audit_arch
        self._names = {number: name for name, number in numbers.items()}
        self._ioctl_inside = local.ioctl
        self._handlers: dict[int, Callable[[Notification], int | None]] = {
            numbers["socket"]: self._socket,
            numbers["connect"]: self._connect,
            numbers["bind"]: local.bind,
            numbers["listen"]: local.listen,
            numbers["ioctl"]: self._ioctl,
        }
        self._stock = _Stock()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """True after ``close``, and when all processes of the worker are gone."""
        return self._is_closed

    def start(self) -> None:
        """Begin to answer."""
        self._loop.add_reader(self._listener.fileno(), self._on_readable)

    def close(self) -> None:
        """Stop: calls that wait fail with ENOSYS, connections that are not up are given up. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._listener.fileno())
        self._connects.close()
        self._unix.close()
        self._stock.close()
        self._listener.close()
        self._trapped.close()

    def reach_inside(self, ip: IpAddress, port: int) -> socket.socket | None:
        """Return a connection to what listens at an address inside; None: the address is not the worker's own.

        Raises:
            OSError: it is the worker's own, and cannot be connected.
        """
        return None if self._is_closed else self._connects.reach_inside(ip, port)

    def _on_readable(self) -> None:
        try:
            for _ in range(_AT_A_TIME):
                call = self._listener.receive()
                if call is None:
                    return
                self._answer(call)
        except EOFError:
            self.close()

    def _answer(self, call: Notification) -> None:
        code: int | None = errno.EIO
        try:
            handler = self._handlers.get(call.number, self._refuse)
            code = (handler if call.arch == self._arch else self._kill)(call)
        except OSError as exc:
            code = exc.errno or errno.EIO
        except GoneError:
            return
        except Exception:
            logger.exception("a trapped system call failed: number %d", call.number)
        if code is not None:
            self._listener.answer(call.id, code)

    def _refuse(self, call: Notification) -> int:
        name = self._names.get(call.number)
        self._audit.refuse(*refused_detail(name, call.number, call.args))
        return refused_errno(name, call.args)

    def _kill(self, call: Notification) -> int:
        """End a process that calls the kernel in another architecture's way: it could not do anything at all."""
        self._trapped.kill(call)
        self._audit.refuse(*foreign_call(call.number, call.arch))
        return errno.ENOSYS

    def _ioctl(self, call: Notification) -> int:
        return self._refuse(call) if is_refused_ioctl(call.args) else self._ioctl_inside(call)

    def _socket(self, call: Notification) -> int | None:
        if not is_tcp(call.args):
            return self._refuse(call)
        family, kind, protocol = (to_int(each) for each in call.args[:3])
        if code := socket_error(kind, protocol):
            self._refuse(call)
            return code
        with self._stock.take(family, is_nonblocking=is_nonblocking(kind)) as sock:
            self._listener.answer_with_fd(call.id, sock.fileno(), is_cloexec=is_cloexec(kind))
        return None

    def _connect(self, call: Notification) -> int | None:
        raw = self._trapped.address_of(call)
        if parse_family(raw) == AF_UNIX and self._is_tcp_locked:
            # What is at the address and behind the descriptor when the kernel looks does not matter: Landlock refuses
            # all TCP to the worker itself.
            self._listener.let_through(call.id)
            return None
        sock = self._trapped.socket_of(call)
        try:
            self._trapped.check_alive(call)
        except GoneError:
            sock.close()
            raise
        if family_of(sock) in (AF_INET, AF_INET6):
            self._connects.connect(call, raw, sock)
            # Now, and not after socket(): a connect(2) follows that at once, and would wait.
            self._stock.refill()
        else:
            self._unix.connect(call, raw, sock)
        return None
