"""The process whose place this one takes (shell): the new process's side of an online restart."""

from __future__ import annotations

import asyncio
import os
import socket
from itertools import chain
from typing import TYPE_CHECKING

from longshore.net.channel import Channel
from longshore.pool.clients.connection import ClientConnection, ClientLogin
from longshore.pool.refusals import PoolRefused
from longshore.pool.session.engine import SessionEngine
from longshore.pool.session_ids import begin_session_ids_at, new_session_id
from longshore.pool.standalone import events as said
from longshore.pool.standalone.link import CancelLink, is_same_account
from longshore.pool.standalone.packed_secret import unpack_secret
from longshore.proto.ipc.takeover import (
    FORM,
    ClientRefused,
    ClientTaken,
    MoveClient,
    Offer,
    StandDown,
    TakenOver,
    TakeOver,
    TakeOverRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.pool.standalone.process import PoolProcess
    from longshore.proto.ipc.messages import Message

__all__ = ["Predecessor", "TakeOverFailed", "no_predecessor"]

_LIMIT_S = 10.0


class TakeOverFailed(Exception):
    """There is no process to replace, or it refuses; the message says what to do."""


class Predecessor:
    """The other process.

    Args:
        process: ours.
        channel: to the other; None: there is none.
        offer: what it offered, with the descriptors.
    """

    def __init__(
        self, process: PoolProcess | None, channel: Channel | None, offer: Offer | None, fds: list[int]
    ) -> None:
        self._process = process
        self._channel = channel
        self._offer = offer
        self.control: socket.socket | None = None
        """Its control socket, ours from ``begin`` on."""
        self.sockets: dict[str, list[socket.socket]] = {}
        """Its listening sockets, by place."""
        self.has_place = channel is None
        """True when nobody else has our place."""
        self.link: CancelLink | None = None
        if offer is None or process is None or channel is None:
            return
        for place, fd in zip(("", *offer.listen), fds, strict=True):
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            if place:
                self.sockets.setdefault(place, []).append(sock)
            else:
                self.control = sock

    @classmethod
    async def meet(cls, path: Path, process: PoolProcess) -> Predecessor:
        """Ask the process that runs for its sockets.

        Raises:
            TakeOverFailed: it is not there, or refuses.

        Cancellation: safe; the other goes on.
        """
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, str(path))
        except OSError as exc:
            sock.close()
            hint = "start without --replace when no pool runs with this configuration"
            raise TakeOverFailed(f"no process answers at {path}: {exc.strerror}; {hint}") from exc
        if not is_same_account(sock):
            # Whoever hands over clients says who they are.
            sock.close()
            hint = "set 'control' in [pool] to a path in a folder of your own"
            raise TakeOverFailed(f"the process at {path} is another account's; {hint}")
        channel = Channel(sock)
        try:
            channel.send_now(TakeOver(form=FORM, pid=os.getpid()))
            async with asyncio.timeout(_LIMIT_S):
                received = await channel.receive()
            message, fds = received or (None, [])
            if isinstance(message, Offer):
                return cls(process, channel, message, fds)
            reason = message.reason if isinstance(message, TakeOverRefused) else "it hung up"
        except TimeoutError:
            reason = f"no answer within {_LIMIT_S:g} s"
        except (OSError, ValueError) as exc:
            reason = str(exc)
        except BaseException:
            channel.close()
            raise
        channel.close()
        raise TakeOverFailed(f"the process at {path} was not replaced: {reason}")

    @property
    def is_there(self) -> bool:
        """True while the other process lives and has clients."""
        return self._channel is not None

    def begin(self) -> None:
        """Take its place: we accept."""
        if self._channel is None or self._process is None or self._offer is None:
            return
        self.has_place = True
        begin_session_ids_at(self._offer.first_session_id)
        self.link = CancelLink(self._channel, self._process.door.cancel)
        self._channel.listen(self._on_message, self._on_end)
        self._channel.send_now(TakenOver(drain_s=self._process.options.drain_s))
        self._process.sink(said.TookOver(self._offer.pid))

    def stand_down(self, *, is_stopping: bool) -> None:
        """Tell it not to accept when we are gone."""
        if self._channel is not None and self.has_place:
            self._channel.send_now(StandDown(is_stopping=is_stopping))

    def close(self) -> None:
        """Let go of it."""
        if self.link is not None:
            self.link.close()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if not self.has_place:
            for sock in chain(*self.sockets.values(), () if self.control is None else (self.control,)):
                sock.close()

    # -- clients that come over ------------------------------------------------------------------

    def _on_message(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, MoveClient) and len(fds) == 1:
            self._adopt(message, socket.socket(fileno=fds[0]))
            return
        for fd in fds:
            os.close(fd)
        if self.link is not None:
            self.link.receive(message)

    def _on_end(self, error: Exception | None) -> None:
        self.close()
        if self._process is not None:
            self._process.pools.read_cache.resume()  # all writes come to us now

    def _adopt(self, message: MoveClient, sock: socket.socket) -> None:
        assert self._process is not None
        try:
            session_id = new_session_id()
            pool = self._process.pools.find(message.database, message.user)
            pool.opener.learn(unpack_secret(message.secret))
            engine = SessionEngine.unpacked(message.session, session_id, pool.shared)
        except (PoolRefused, ValueError) as exc:
            sock.close()
            self._say(ClientRefused(client_id=message.client_id, reason=str(exc)))
            return
        login = ClientLogin(
            session_id=session_id,
            user=message.user,
            database=message.database,
            key=(message.cancel_pid, bytes.fromhex(message.cancel_secret)),
            tenant=message.tenant,
        )

        def enter(transport: asyncio.Transport) -> None:
            assert self._process is not None
            client = ClientConnection(transport, login, pool, engine, self._process.pools.remove_client)
            self._process.pools.add_client(client)
            # Before anything is read: as long as the other does not know it, the client is the other's.
            self._say(ClientTaken(client_id=message.client_id))
            client.take_over(b"")

        self._process.background(self._attach(sock, enter, message.client_id))

    async def _attach(self, sock: socket.socket, enter: Callable[[asyncio.Transport], None], client_id: int) -> None:
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: _Arriving(enter), sock)
        except OSError as exc:
            sock.close()
            self._say(ClientRefused(client_id=client_id, reason=str(exc)))

    def _say(self, message: ClientTaken | ClientRefused) -> None:
        if self._channel is not None:
            self._channel.send_now(message)


class _Arriving(asyncio.Protocol):
    """The protocol of a moved client until it has its own, which is at once."""

    def __init__(self, enter: Callable[[asyncio.Transport], None]) -> None:
        self._enter = enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on with the session."""
        self._enter(transport)  # type: ignore[arg-type]  # uvloop has classes of its own


def no_predecessor() -> Predecessor:
    """Return what stands for none."""
    return Predecessor(None, None, None, [])
