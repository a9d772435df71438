"""``ControlDoor``: ``connect()``, ``fetch()`` and bindings of one worker, served over its egress channel.

Theory of operation. A ``Dial`` is carried out in the very call that delivers it, as far as that goes without waiting:
for a near peer the answer leaves before the loop turns. What has to wait becomes a task, by its ``dial_id``. Tunnels
are kept by the same number until the worker says that it has closed its end.

The worker is not trusted. What is no sentence of the protocol ends the channel; descriptors that it sends without being
asked are closed; while it does not read its answers, nothing more is read from it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.aio.tasks import spawn
from longshore.core.addresses import SocketAddress
from longshore.core.info import SocketInfo, Timings
from longshore.core.ip_ranges import normalize_ip
from longshore.core.shown import shown
from longshore.egress.credentials import binding_tls
from longshore.egress.dial import OutboundDial
from longshore.egress.names import is_localhost
from longshore.egress.pool_link import NoPool, is_pooled
from longshore.egress.tunnel import open_tunnel
from longshore.egress.upgradable import Upgradable, UpgradableConnections
from longshore.errors import ConnectAttempt, LimitExceeded, SocketError
from longshore.net.connect import format_address
from longshore.net.fdpass import close_all
from longshore.net.opening import limited_time, nobody_accepted
from longshore.proto.ipc.egress import (
    CancelDial,
    Dial,
    Dialed,
    DialFailed,
    EndTunnel,
    Jailed,
    StartTls,
    TunnelEnded,
)
from longshore.proto.ipc.failure import failure_of
from longshore.proto.ipc.pool import DefineDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Literal

    from longshore.core.host_syntax import IpAddress
    from longshore.egress.context import WorkerContext
    from longshore.egress.pool_link import PoolDoor
    from longshore.egress.tunnel import Tunnel
    from longshore.net.channel import Channel
    from longshore.net.opening import Opened
    from longshore.proto.ipc.messages import Message

__all__ = ["ControlDoor"]

MAX_DIALS_UNDER_WAY: Final = 4_096
"""Of one worker; each is a task and perhaps a descriptor of ours."""
MAX_TUNNELS: Final = 16_384
"""Of one worker; each is two descriptors of ours, also when the worker has closed its own."""
NO_POOL: Final = NoPool()
_LOCALHOST: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

logger = logging.getLogger(__name__)


class _ViolationError(Exception):
    """The worker said what no client of ours says."""


class ControlDoor:
    """Answers ``Dial`` and ``StartTls``; made inside the running loop.

    Args:
        context: of the worker.
        channel: our end of its egress channel; belongs to the door.
        on_jailed: called with the worker's first message, if that is ``Jailed``, and its descriptors, which belong
            to the callee.
        pool: serves its ``[[hyperdrive]]`` bindings.
    """

    def __init__(
        self,
        context: WorkerContext,
        channel: Channel,
        on_jailed: Callable[[Jailed, list[int]], None] | None = None,
        pool: PoolDoor = NO_POOL,
    ) -> None:
        self._context = context
        self._pool = pool
        self._channel = channel
        self._on_jailed = on_jailed
        self._is_first = True
        self._running: dict[int, asyncio.Task[None]] = {}
        self._tunnels: dict[int, Tunnel] = {}
        self._upgradable = UpgradableConnections()
        self._resuming: asyncio.Task[None] | None = None
        self.reach_inside: Callable[[IpAddress, int], socket.socket | None] | None = None
        """Connects within the worker's own network, where it has one; see ``TrapDoor.reach_inside``."""

    def start(self) -> None:
        """Begin to serve."""
        self._channel.listen(self._on_message, self._on_end)

    async def aclose(self) -> None:
        """Give up every dial in flight and every tunnel, and close the channel. Idempotent.

        Cancellation: everything is given up all the same.
        """
        tasks = self._give_up()
        if tasks:
            await asyncio.wait(tasks)

    def abort(self) -> None:
        """Do the same without waiting for what is given up."""
        self._give_up()

    def _give_up(self) -> list[asyncio.Task[None]]:
        self._channel.close()
        tasks = list(self._running.values())
        if self._resuming is not None:
            tasks.append(self._resuming)
        for task in tasks:
            task.cancel()
        tunnels, self._tunnels = self._tunnels, {}
        for tunnel in tunnels.values():
            tunnel.abort()
        return tasks

    # -- what the worker says --------------------------------------------------------------------

    def _on_message(self, message: Message, fds: list[int]) -> None:
        try:
            self._obey(message, fds)
        except _ViolationError as exc:
            self._context.audit.refuse("message", str(exc))
            self._give_up()
        finally:
            close_all(fds)
            self._is_first = False

    def _obey(self, message: Message, fds: list[int]) -> None:
        match message:
            case Dial():
                self._check_number(message.dial_id)
                self._dial(message)
            case CancelDial(dial_id=dial_id):
                if (task := self._running.get(dial_id)) is not None:
                    task.cancel()
            case EndTunnel(dial_id=dial_id, step=step):
                self._end_tunnel(dial_id, step)
            case StartTls():
                self._check_number(message.dial_id)
                self._start_tls(message, fds)
            case DefineDatabase(binding=binding):
                if is_pooled(self._context.config, binding):
                    self._pool.define(self._context.worker_id, message)
            case Jailed() if self._is_first and self._on_jailed is not None:
                taken = list(fds)
                fds.clear()
                self._on_jailed(message, taken)
            case _:
                raise _ViolationError(f"{type(message).__name__} is not for a worker to say now")

    def _check_number(self, dial_id: int) -> None:
        if dial_id in self._running or dial_id in self._tunnels:
            raise _ViolationError(f"dial {dial_id} is under way already")

    def _on_end(self, error: Exception | None) -> None:
        if error is not None:
            self._context.audit.refuse("message", shown(str(error)))
        self._give_up()

    # -- dialing ---------------------------------------------------------------------------------

    def _dial(self, message: Dial) -> None:
        dial: OutboundDial | None = None
        try:
            if self._dial_inside(message) or self._dial_pool(message):
                return
            dial = OutboundDial(self._context, message)
            is_connected = dial.begin()
            if is_connected and dial.ask.tls is None:
                self._hand_out(message.dial_id, dial)
                return
            self._check_room()
        except Exception as exc:  # noqa: BLE001 - every dial is answered
            self._fail(message.dial_id, exc, dial)
            return
        work = self._finish(message.dial_id, dial, is_connected=is_connected)
        self._spawn(message.dial_id, work, dial.failed)

    def _dial_inside(self, message: Dial) -> bool:
        """Answer with a connection to the worker's own listener, as its trapped connects are; False: it is not there.

        Raises:
            ArgumentValueError, ArgumentTypeError: the address is none.
            ConnectError: an address of the worker's own refuses.
        """
        if self.reach_inside is None or message.binding is not None:
            return False
        address = SocketAddress.parse(message.address)
        for ip in _meant_inside(address):
            started = monotonic()
            try:
                sock = self.reach_inside(ip, address.port)
            except OSError as exc:
                attempt = ConnectAttempt(str(address), exc, monotonic() - started)
                raise nobody_accepted(str(address), (attempt,)) from exc
            if sock is not None:
                with sock:
                    self._answer_inside(message, format_address(ip, address.port), sock, monotonic() - started)
                return True
        return False

    def _answer_inside(self, message: Dial, remote_address: str, sock: socket.socket, tcp_s: float) -> None:
        if message.no_delay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer(
            Dialed(
                dial_id=message.dial_id,
                remote_address=remote_address,
                local_address=_local_address(sock),
                tcp_s=tcp_s,
                is_near=True,
            ),
            sock,
        )

    def _dial_pool(self, message: Dial) -> bool:
        """Answer with one end of a socket pair whose other end the pool gets; False: this is not for the pool.

        Raises:
            ArgumentValueError, ArgumentTypeError: the address is none.
            SocketError: the pool cannot take it now.
        """
        context = self._context
        address = SocketAddress.parse(message.address)
        binding = message.binding or context.names.binding_of(address.hostname)
        if binding is None or not is_pooled(context.config, binding):
            return False
        mine, its = socket.socketpair()
        with mine, its:
            self._pool.pass_client(context.worker_id, binding, its)
            self._answer(
                Dialed(dial_id=message.dial_id, remote_address=str(address), is_near=True, is_local=True), mine
            )
        return True

    def _check_room(self) -> None:
        if len(self._tunnels) >= MAX_TUNNELS:
            raise LimitExceeded(
                f"{MAX_TUNNELS} connections of bindings of this worker are open already",
                limit="connections of bindings",
                value=MAX_TUNNELS,
            )
        if len(self._running) >= MAX_DIALS_UNDER_WAY:
            raise LimitExceeded(
                f"{MAX_DIALS_UNDER_WAY} dials of this worker are under way already",
                limit="dials under way",
                value=MAX_DIALS_UNDER_WAY,
            )

    def _spawn(self, dial_id: int, work: Coroutine[Any, Any, None], on_failed: Callable[[BaseException], None]) -> None:
        def on_done(task: asyncio.Task[None]) -> None:
            del self._running[dial_id]
            if task.cancelled():
                on_failed(asyncio.CancelledError())
            elif (error := task.exception()) is not None:
                try:
                    on_failed(error)
                finally:
                    self._answer_failure(dial_id, error)

        self._running[dial_id] = spawn(work, name=f"dial {dial_id}", on_done=on_done)

    async def _finish(self, dial_id: int, dial: OutboundDial, *, is_connected: bool) -> None:
        request = dial.ask.request
        async with limited_time(str(request.address), request.timeout_s, dial.progress):
            if not is_connected:
                await dial.finish()
            if dial.ask.tls is None:
                self._hand_out(dial_id, dial)
            else:
                dial.progress.during = "tls"
                await self._open_tunnel(dial_id, dial)

    def _hand_out(self, dial_id: int, dial: OutboundDial) -> None:
        """Give the worker its connection."""
        opened = dial.take()
        with opened.sock as sock:
            local_address = _local_address(sock)
            if dial.ask.is_upgradable:
                known = Upgradable(dial.ask.binding, str(dial.ask.request.address), _info(opened, local_address))
                self._upgradable.add(sock, known)
            self._answer(
                Dialed(
                    dial_id=dial_id,
                    remote_address=opened.remote_address,
                    local_address=local_address,
                    dns_s=opened.dns_s,
                    tcp_s=opened.tcp_s,
                    is_near=opened.is_near,
                ),
                sock,
            )
            dial.track(opened)
            dial.opened(opened, local_address)

    def _fail(self, dial_id: int, error: BaseException, dial: OutboundDial | None) -> None:
        if dial is not None:
            dial.failed(error)
        self._answer_failure(dial_id, error)

    # -- tunnels ---------------------------------------------------------------------------------

    async def _open_tunnel(self, dial_id: int, dial: OutboundDial) -> None:
        opened = dial.take()
        ask = dial.ask
        assert ask.tls is not None
        try:
            tls = binding_tls(self._context.config, self._context.credentials, ask.binding, ask.tls)
            info = _info(opened, _local_address(opened.sock))
            dial.track(opened)
        except BaseException:
            opened.sock.close()
            raise
        address = str(ask.request.address)
        tunnel = await open_tunnel(opened.sock, tls, partial(self._tunnel_ended, dial_id), address=address, info=info)
        self._give_tunnel(dial_id, tunnel)
        dial.opened(opened, info.local_address or "", tls_s=tunnel.info.timings.tls_s)

    def _start_tls(self, message: StartTls, fds: list[int]) -> None:
        if len(fds) != 1:
            raise _ViolationError(f"StartTls came with {len(fds)} descriptors")
        try:
            sock = socket.socket(fileno=fds[0])
        except OSError as exc:
            raise _ViolationError("StartTls came with something that is no socket") from exc
        fds.clear()
        try:
            self._check_room()
            known = self._upgradable.take(sock, message.binding)
            sock.setblocking(False)
        except SocketError as exc:
            sock.close()
            self._answer_failure(message.dial_id, exc)
            return
        self._spawn(message.dial_id, self._upgrade(message, sock, known), lambda _: sock.close())

    async def _upgrade(self, message: StartTls, sock: socket.socket, known: Upgradable) -> None:
        tls = binding_tls(self._context.config, self._context.credentials, message.binding, message.tls)
        tunnel = await open_tunnel(
            sock,
            tls,
            partial(self._tunnel_ended, message.dial_id),
            address=known.address,
            info=known.info,
            is_upgrade=True,
        )
        self._give_tunnel(message.dial_id, tunnel)

    def _give_tunnel(self, dial_id: int, tunnel: Tunnel) -> None:
        self._tunnels[dial_id] = tunnel
        tunnel.on_done = partial(self._forget_tunnel, dial_id)
        info, timings = tunnel.info, tunnel.info.timings
        dialed = Dialed(
            dial_id=dial_id,
            remote_address=info.remote_address,
            local_address=info.local_address,
            dns_s=timings.dns_s,
            tcp_s=timings.tcp_s,
            tls_s=timings.tls_s,
            is_tunnel=True,
            alpn=info.alpn,
            tls_version=info.tls_version,
            cipher=info.cipher,
            peer_certificate=info.peer_certificate,
        )
        try:
            with tunnel.take_plain() as plain:
                self._answer(dialed, plain)
        except BaseException:
            tunnel.abort()  # nobody would ever end it
            raise

    def _tunnel_ended(self, dial_id: int, error: SocketError | None) -> None:
        """Tell how the peer's direction ended; its bytes are in the worker's descriptor already."""
        if dial_id in self._tunnels:  # else the worker has closed its end, and does not want to know
            self._answer(TunnelEnded(dial_id=dial_id, failure=None if error is None else failure_of(error)))

    def _forget_tunnel(self, dial_id: int) -> None:
        self._tunnels.pop(dial_id, None)

    def _end_tunnel(self, dial_id: int, step: Literal["write", "close", "abort"]) -> None:
        tunnel = self._tunnels.get(dial_id)
        if tunnel is None:
            return  # it was broken already
        if step != "write":
            # It lives by itself until everything is sent, even if the worker does not.
            del self._tunnels[dial_id]
        tunnel.end(step)

    # -- answers ---------------------------------------------------------------------------------

    def _answer(self, message: Dialed | DialFailed | TunnelEnded, sock: socket.socket | None = None) -> None:
        self._channel.send_now(message, () if sock is None else (sock.fileno(),))
        if self._channel.has_unsent and self._resuming is None and not self._channel.is_closed:
            self._channel.pause()
            self._resuming = spawn(self._resume(), name="egress channel flush")

    async def _resume(self) -> None:
        try:
            await self._channel.flush()
        except OSError:
            return  # it is over, which the reading side tells
        finally:
            self._resuming = None
        self._channel.resume()

    def _answer_failure(self, dial_id: int, error: BaseException) -> None:
        if not isinstance(error, SocketError):
            logger.error("a dial failed unexpectedly", exc_info=error)
            error = SocketError(f"the host could not make the connection: {type(error).__name__}")
        self._answer(DialFailed(dial_id=dial_id, failure=failure_of(error)))


def _meant_inside(address: SocketAddress) -> tuple[IpAddress, ...]:
    """Return the addresses of ``address`` that may be the worker's own."""
    if address.ip is not None:
        return (normalize_ip(address.ip),)
    return _LOCALHOST if is_localhost(address.hostname) else ()


def _local_address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _info(opened: Opened, local_address: str) -> SocketInfo:
    return SocketInfo(opened.remote_address, local_address, timings=Timings(opened.dns_s, opened.tcp_s))
