"""Keys of SCRAM, made of passwords in a thread and remembered (shell).

PBKDF2 takes a millisecond and more, on purpose. In the event loop that would hold up every session, and a crowd of
clients that come at once would hold it up for seconds.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from longshore.proto.postgres.scram import derive_keys

if TYPE_CHECKING:
    from longshore.proto.postgres.scram import ScramKeys

__all__ = ["KeyCache"]

_MAX_KEYS = 4096

_Key: TypeAlias = "tuple[bytes, bytes, int]"


class KeyCache:
    """Keys by password, salt and iterations; the passwords themselves are not kept."""

    def __init__(self) -> None:
        self.mock_secret = os.urandom(32)
        """Makes the salts of users who do not exist look like salts; the same for the life of the process."""
        self._keys: OrderedDict[_Key, ScramKeys] = OrderedDict()
        self._blind = os.urandom(32)
        # One at a time: strangers can ask for the work, and the other cores belong to others.
        self._turn = asyncio.Lock()

    def find(self, password: bytes, salt: bytes, iterations: int) -> ScramKeys | None:
        """Return the keys if they are known."""
        key = self._key(password, salt, iterations)
        if (found := self._keys.get(key)) is not None:
            self._keys.move_to_end(key)
        return found

    async def derive(self, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
        """Return the keys.

        Cancellation: safe.
        """
        async with self._turn:
            if (found := self.find(password, salt, iterations)) is not None:
                return found
            made = await asyncio.to_thread(derive_keys, password, salt, iterations)
        self._keys[self._key(password, salt, iterations)] = made
        if len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)
        return made

    def _key(self, password: bytes, salt: bytes, iterations: int) -> _Key:
        return hmac.digest(self._blind, password, "sha256"), salt, iterations
