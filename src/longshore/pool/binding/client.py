"""The clients of one binding of one worker process (shell)."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from longshore.pool.clients.authentication import Authentication
from longshore.pool.clients.door import ClientDoor
from longshore.pool.clients.method import ClientMethod
from longshore.pool.clients.start import ClientStart
from longshore.pool.pools import Pools
from longshore.pool.refusals import PoolRefused
from longshore.proto.ipc.pool import HANDLE_PREFIX, is_handle
from longshore.proto.postgres.auth import PlainPassword, Secret
from longshore.proto.postgres.errors import error_response
from longshore.proto.postgres.scram import make_verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.pool.clients.door import RefusedLogin
    from longshore.pool.pool import Pool
    from longshore.pool.servers.target import Target
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["BindingDoor", "BindingPools", "BindingStart"]

MAX_HANDLES: Final = 4_096
"""User names that one binding of one worker process may have; the one that was named first is forgotten first."""
LOGIN_TIMEOUT_S: Final = 15.0
_PATIENCE_S: Final = 2.0
_FEW: Final = 64
_ITERATIONS: Final = 4_096
"""Fewer would do for 256 random bits, but some clients refuse to log in with fewer (RFC 7677)."""
_SALT_BYTES: Final = 16
logger = logging.getLogger("longshore.pool")

_USER: Final = re.compile(b"user\\0(" + HANDLE_PREFIX.encode() + b"[0-9a-f]{16,64})\\0")


class BindingPools(Pools):
    """What the clients of one binding of one worker can reach, and their sessions, which nobody else can cancel.

    Args:
        find: returns the pools and the place of the binding's database, or of the one that a user name stands for;
            None: there is none.
    """

    def __init__(self, find: Callable[[str], tuple[Pools, Target] | None]) -> None:
        super().__init__(())
        self._find = find
        self._handles: OrderedDict[str, str] = OrderedDict()  # why there is no database behind it; "": there is one

    def allow(self, handle: str) -> None:
        """Note that there is a database behind a user name."""
        self.refuse(handle, "")

    def refuse(self, handle: str, reason: str) -> None:
        """Note why there is none."""
        self._handles[handle] = reason
        self._handles.move_to_end(handle)
        if len(self._handles) > MAX_HANDLES:
            self._handles.popitem(last=False)

    def knows(self, handle: str) -> bool:
        """Return whether it was said what a user name stands for."""
        return handle in self._handles

    def find(self, database: str, user: str) -> Pool:
        """Return the pool for a client; see ``Pools.find``."""
        is_wrong = self._handles.get(user, "") or (is_handle(user) and user not in self._handles)
        found = None if is_wrong else self._find(user)
        if found is None:
            raise PoolRefused(self._refusal(user))
        pools, target = found
        if user != target.user and not is_handle(user):
            hint = "connect with the connection_string of the binding"
            raise PoolRefused(error_response("FATAL", "28000", f'role "{user}" is not that of the binding', hint=hint))
        if database != target.database:
            hint = f"the binding is for {target.database!r}: connect with its connection_string"
            raise PoolRefused(error_response("FATAL", "3D000", f'database "{database}" does not exist', hint=hint))
        return pools.find(database, target.user)

    def _refusal(self, user: str) -> ErrorResponse:
        if reason := self._handles.get(user, ""):
            hint = "mend what was given to get() of the binding"
        elif is_handle(user):
            reason = "what this user name stands for is not known (any more)"
            hint = "call get() of the binding for each request; it costs nothing"
        else:
            reason = "the database of this binding cannot be used: its configuration is wrong"
            hint = "the log of the host says what is wrong with it"
        return error_response("FATAL", "28000", reason, hint=hint)


class _Everybody(Mapping[str, Secret]):
    """Whoever somebody says he is, he has the token or not.

    Args:
        secret: the token.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def __getitem__(self, user: str) -> Secret:
        return self._secret

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class BindingDoor:
    """Where the clients of one binding of one worker process come; made inside the running loop.

    Args:
        worker: its name.
        binding: the name of the binding.
        token: what they log in with.
        find: see ``BindingPools``.
    """

    def __init__(
        self, *, worker: str, binding: str, token: str, find: Callable[[str], tuple[Pools, Target] | None]
    ) -> None:
        self.pools = BindingPools(find)
        self._name = f"env.{binding} of worker {worker!r}"
        door = ClientDoor(pools=self.pools, tenant=worker, login_timeout_s=LOGIN_TIMEOUT_S, on_refused=self._refused)
        # Where only the worker can be at the other end the token is compared as it is, which spares two round trips.
        plain = _Everybody(PlainPassword(token.encode()))
        verifier = make_verifier(token.encode(), salt=os.urandom(_SALT_BYTES), iterations=_ITERATIONS)
        self.private = replace(
            door,
            authentication=Authentication(users=plain, method=ClientMethod.PASSWORD, allows_plain_password=True),
        )
        """For connections that the egress process has passed on."""
        self.public = replace(
            door, authentication=Authentication(users=_Everybody(verifier), method=ClientMethod.SCRAM_SHA_256)
        )
        """For connections to a port of the loopback interface, where anybody can connect to."""
        self._transports: set[asyncio.BaseTransport] = set()
        self._worth_counting = _FEW
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def _refused(self, login: RefusedLogin) -> None:
        logger.warning("%s: a login of %r failed: %s %s", self._name, login.user, login.error.message, login.reason)

    def refuse(self, handle: str, reason: str) -> None:
        """Tell those who log in as ``handle`` why there is no database for them."""
        self.pools.refuse(handle, reason)
        self._go_on(handle)

    def defined(self, handle: str) -> None:
        """Note that there is a database for ``handle``."""
        self.pools.allow(handle)
        self._go_on(handle)

    def wait_for(self, handle: str, go_on: Callable[[], None]) -> bool:
        """Call ``go_on`` when it is known what ``handle`` stands for, or will not be; False: it is known now."""
        if self.pools.knows(handle):
            return False
        self._waiting.setdefault(handle, []).append(go_on)
        asyncio.get_running_loop().call_later(_PATIENCE_S, self._go_on, handle)
        return True

    def count(self) -> int:
        """Return how many connections there are."""
        self._transports = {each for each in self._transports if not each.is_closing()}
        return len(self._transports)

    @property
    def most(self) -> int:
        """How many connections there are at most: some may have ended."""
        return len(self._transports)

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Note a connection."""
        self._transports.add(transport)
        if len(self._transports) > self._worth_counting:
            self._worth_counting = 2 * self.count() + _FEW

    def abort_clients(self) -> None:
        """End every connection."""
        for transport in self._transports:
            if not transport.is_closing():
                transport.abort()  # type: ignore[attr-defined]  # uvloop has classes of its own
        self._transports.clear()

    def _go_on(self, handle: str) -> None:
        for go_on in self._waiting.pop(handle, ()):
            go_on()


class BindingStart(ClientStart):
    """One client before its session.

    What a user name stands for comes by another way than the client, which may be quicker.

    Args:
        door: where it came.
        is_private: whether nobody but the worker can be at the other end.
    """

    def __init__(self, door: BindingDoor, *, is_private: bool) -> None:
        super().__init__(door.private if is_private else door.public)
        self._binding = door
        self._held: bytearray | None = None
        self._raw: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the StartupMessage."""
        self._raw = transport  # type: ignore[assignment]  # uvloop has classes of its own
        self._binding.opened(transport)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take what the client says; hold it back until its user name is known."""
        if self._held is not None:
            self._held += data  # what was read already: nothing more is
            return
        named = _USER.search(data)
        if named is not None and self._binding.wait_for(named[1].decode(), self._go_on):
            assert self._raw is not None
            self._held = bytearray(data)
            self._raw.pause_reading()  # or somebody who has not logged in could fill our memory
        else:
            super().data_received(data)

    def _go_on(self) -> None:
        held, self._held = self._held, None
        if held is None or self._raw is None or self._raw.is_closing():
            return
        self._raw.resume_reading()
        super().data_received(bytes(held))
