"""The control socket, and a successor that comes through it (shell): the old process's side of an online restart.

Rules that must not be broken:

1. Until ``TakenOver`` nothing changes here, whatever becomes of the other process.
2. A client is moved only between two messages, with no byte of it in this process; from then on until the answer
   nothing is read from it, so it can stay if the answer is no, or none.
3. When the successor dies without a ``StandDown``, this process accepts again.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from longshore.net.channel import Channel
from longshore.pool.session_ids import new_session_id
from longshore.pool.standalone import events as said
from longshore.pool.standalone.link import CancelLink, is_same_account
from longshore.pool.standalone.listeners import open_unix
from longshore.pool.standalone.moving import Mover
from longshore.proto.ipc.takeover import (
    FORM,
    ClientRefused,
    ClientTaken,
    Offer,
    StandDown,
    TakenOver,
    TakeOver,
    TakeOverRefused,
)

if TYPE_CHECKING:
    import socket

    from longshore.pool.clients.connection import ClientConnection
    from longshore.pool.standalone.process import PoolProcess
    from longshore.proto.ipc.messages import Message

__all__ = ["Control"]

_MODE: Final = 0o600
_SPARE_IDS: Final = 1_000_000
"""So many clients may still come here between the offer and the successor's start."""


class Control:
    """Waits for a successor.

    Args:
        process: of which it is the control.
    """

    def __init__(self, process: PoolProcess) -> None:
        self._process = process
        self._sock: socket.socket | None = None
        self._successor: Successor | None = None
        self._is_accepting = False

    def open(self, inherited: socket.socket | None) -> None:
        """Listen, at the socket of the predecessor if there is one.

        Raises:
            ListenFailed: that is not possible.
        """
        path = self._process.settings.control
        if path is None:
            return
        if inherited is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sock = inherited or open_unix(path, _MODE)
        self.accept()

    def accept(self) -> None:
        """Let a successor come."""
        if self._sock is not None and not self._is_accepting:
            self._is_accepting = True
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._on_visitor)

    def stop_accepting(self) -> None:
        """Let none come: one has our place."""
        if self._sock is not None and self._is_accepting:
            self._is_accepting = False
            asyncio.get_running_loop().remove_reader(self._sock.fileno())

    @property
    def sock(self) -> socket.socket | None:
        """The listening socket."""
        return self._sock

    @property
    def link(self) -> CancelLink | None:
        """To the successor."""
        return None if self._successor is None else self._successor.link

    def move_clients(self) -> None:
        """Hand over who is at rest."""
        if self._successor is not None:
            self._successor.mover.move()

    def rested(self, client: ClientConnection) -> None:
        """Hand over a client that came to rest just now."""
        if self._successor is not None:
            self._successor.mover.rested(client)

    @property
    def is_moving(self) -> bool:
        """True while a client is on its way."""
        return self._successor is not None and bool(self._successor.mover.moving)

    def close(self, *, is_last: bool) -> None:
        """End it.

        Args:
            is_last: remove the socket's file.
        """
        self.stop_accepting()
        if self._successor is not None:
            self._successor.close()
        if self._sock is not None:
            if is_last:
                _unlink(self._sock)
            self._sock.close()
            self._sock = None

    def forget(self, successor: Successor) -> None:
        """Take that a successor has gone."""
        if self._successor is successor:
            self._successor = None

    def _on_visitor(self) -> None:
        assert self._sock is not None
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return
        if not is_same_account(sock):
            sock.close()
            return
        if self._successor is not None:
            self._turn_away(sock)
            return
        self._successor = Successor(Channel(sock), self._process, self)

    def _turn_away(self, sock: socket.socket) -> None:
        channel = Channel(sock)
        channel.send_now(TakeOverRefused(reason="another process is taking over just now"))
        channel.close()


class Successor:
    """A process that wants our place."""

    def __init__(self, channel: Channel, process: PoolProcess, control: Control) -> None:
        self.link = CancelLink(channel, process.door.cancel)
        self.mover = Mover(channel, process.pools)
        self._channel = channel
        self._process = process
        self._control = control
        self._pid = 0
        self._has_place = False
        self._is_followed = True  # when it dies we go on
        channel.listen(self._on_message, self._on_end)

    def close(self) -> None:
        """Let go of it."""
        self.link.close()
        self._channel.close()

    def _on_message(self, message: Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        match message:
            case TakeOver(form=form, pid=pid):
                self._pid = pid
                self._offer(form)
            case TakenOver(drain_s=drain_s):
                self._give_place(drain_s)
            case ClientTaken(client_id=client_id):
                self.mover.taken(client_id)
            case ClientRefused(client_id=client_id):
                self.mover.refused(client_id)
            case StandDown(is_stopping=is_stopping):
                self._is_followed = False
                if is_stopping:
                    self._process.stop()
            case _:
                self.link.receive(message)

    def _offer(self, form: int) -> None:
        if form != FORM:
            reason = f"this process speaks form {FORM} of the hand-over, the new one {form}: restart it with a stop"
            self._channel.send_now(TakeOverRefused(reason=reason))
            return
        control = self._control.sock
        assert control is not None
        listen, fds = [], [control.fileno()]
        for place, sockets in self._process.gates.by_place().items():
            for sock in sockets:
                listen.append(place)
                fds.append(sock.fileno())
        first = new_session_id() + _SPARE_IDS
        self._process.pools.read_cache.suspend()  # it accepts before we hear that it does
        self._channel.send_now(Offer(pid=os.getpid(), listen=tuple(listen), first_session_id=first), fds)

    def _give_place(self, drain_s: float | None) -> None:
        self._has_place = True
        self._control.stop_accepting()
        self._process.sink(said.TakenOverBy(self._pid, len(self._process.pools.clients)))
        self._process.supersede(drain_s)

    def _on_end(self, error: Exception | None) -> None:
        self._control.forget(self)
        self.link.close()
        self._channel.close()
        self.mover.give_up()
        if self._has_place and self._is_followed:
            self._process.pools.read_cache.resume()
            self._process.sink(said.SuccessorLost(f"process {self._pid}, which had taken over, died"))
            self._process.resume()
            self._control.accept()
        elif not self._has_place and self._pid:
            self._process.pools.read_cache.resume()
            reason = f"process {self._pid} wanted to take over and ended before it was ready"
            self._process.sink(said.SuccessorLost(reason))


def _unlink(sock: socket.socket) -> None:
    try:
        os.unlink(sock.getsockname())
    except OSError:
        pass
