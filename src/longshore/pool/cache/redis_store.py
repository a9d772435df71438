"""Results and versions in Redis, for pools on several machines (shell).

A version is a token that nobody can have made twice, not a number: a key that Redis has dropped for lack of memory, or
forgotten in a restart, must never seem to have the value again that it had before. A result carries the tokens of all
that it reads, as they were before its query was sent; it holds while Redis has the same. A token that is not there
matches nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longshore.aio.tasks import spawn
from longshore.pool.cache.memory import Entry
from longshore.pool.cache.remote import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from longshore.pool.cache.memory import Key
    from longshore.pool.cache.question import Question
    from longshore.pool.cache.remote import Place
    from longshore.pool.cache.store_address import StoreAddress

__all__ = ["FOUND", "LOST", "RedisStore"]

_log = logging.getLogger("longshore.pool.cache")

_TOKEN_S: Final = 7 * 86_400
"""A token that nobody has moved for so long may go: at worst results are fetched anew."""
_RETRY_S: Final = 0.5
_EVERYTHING: Final = "*"
LOST: Final = "the store of the read cache, %s, does not answer (%s): reads go to the database until it does"
FOUND: Final = "the store of the read cache, %s, answers again"


class _Kept(msgspec.Struct, array_like=True):
    head: bytes
    tail: bytes
    relations: list[int]
    versions: list[bytes]
    keep_ms: int
    spent_ms: int


def _log_it(name: str, reason: str) -> None:
    if reason:
        _log.warning(LOST, name, reason)
    else:
        _log.warning(FOUND, name)


def _secret(address: StoreAddress) -> dict[str, Any]:
    return {} if address.password is None else {"password": address.password}


class RedisStore:
    """One for each process; made inside the running loop.

    Args:
        address: where it is.
        clock: that of the ``ReadCache``.
        timeout_s: so long a read waits for Redis, and the answer to a commit.
        prefix: of all keys.
        tell: is told its name, and why it does not answer; or an empty text when it answers again.

    Raises:
        ImportError: redis-py is not installed.
    """

    def __init__(
        self,
        address: StoreAddress,
        clock: Callable[[], float],
        *,
        timeout_s: float = 1.0,
        prefix: str = "longshore",
        tell: Callable[[str, str], None] = _log_it,
    ) -> None:
        # Only who wants this store needs the package.
        from redis import asyncio as redis  # noqa: PLC0415

        self.name = address.name
        self.is_available = True
        self.failures = 0
        self._client: Any = redis.Redis.from_url(
            address.url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, **_secret(address)
        )
        self._errors = (redis.RedisError, OSError, TimeoutError, msgspec.MsgspecError)
        self._clock = clock
        self._timeout_s = timeout_s
        self._prefix = prefix
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: set[Place] = set()  # databases of whose writes others were not told

    async def ask(self) -> str:
        """Return why it does not answer; empty: it does.

        Cancellation: safe.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.ping()
        except self._errors as exc:
            return str(exc) or type(exc).__name__
        return ""

    def begin(self) -> None:
        """Find out whether it answers before the first read has to wait for it."""
        self._run(self._begin())

    async def _begin(self) -> None:
        if reason := await self.ask():
            self._lost(reason)

    async def aclose(self) -> None:
        """End what is under way, and the connections.

        Cancellation: safe.
        """
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    # -- reads -----------------------------------------------------------------------------------

    def fetch(self, question: Question, place: Place, on_done: Callable[[Fetched | None], None]) -> None:
        """Ask for a result and the versions; None: there was no answer in time."""
        self._run(self._fetch(question, place, on_done))

    async def _fetch(self, question: Question, place: Place, on_done: Callable[[Fetched | None], None]) -> None:
        fetched = None
        try:
            async with asyncio.timeout(self._timeout_s):
                fetched = await self._ask(question, place)
        except self._errors as exc:
            self._lost(exc)
        finally:
            on_done(fetched)

    async def _ask(self, question: Question, place: Place) -> Fetched:
        names = [_EVERYTHING, *map(str, sorted(question.relations))]
        keys = [self._version_key(place, name) for name in names]
        entry_key = self._entry_key(question.key)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.mget(entry_key, *keys)
        pipeline.pttl(entry_key)
        (raw, *tokens), left_ms = await pipeline.execute()
        if None in tokens:
            tokens = await self._make_tokens(keys, tokens)
        return Fetched(tuple(tokens), self._decode(raw, left_ms, question.relations))

    async def _make_tokens(self, keys: Sequence[str], tokens: Sequence[bytes | None]) -> list[bytes]:
        """Give a version to what has none, unless somebody else just did."""
        pipeline = self._client.pipeline(transaction=False)
        made = [os.urandom(16) for _ in keys]
        for key, token, new in zip(keys, tokens, made, strict=True):
            if token is None:
                pipeline.set(key, new, nx=True, get=True, ex=_TOKEN_S)
        found = iter(await pipeline.execute())
        return [token if token is not None else (next(found) or new) for token, new in zip(tokens, made, strict=True)]

    def _decode(self, raw: bytes | None, left_ms: int, relations: frozenset[int]) -> Entry | None:
        if raw is None or left_ms <= 0:
            return None
        kept = msgspec.msgpack.decode(raw, type=_Kept)
        # By what is left of its time, so that the clocks of two machines are never compared.
        age_s = (kept.keep_ms - left_ms + kept.spent_ms) / 1000
        if frozenset(kept.relations) != relations:
            return None
        return Entry(kept.head, kept.tail, relations, tuple(kept.versions), self._clock() - age_s)

    def store(self, entry: Entry, key: Key, keep_s: float, spent_s: float) -> None:
        """Keep a result; ``spent_s`` have passed since it was asked for."""
        keep_ms = int((keep_s - spent_s) * 1000)
        if keep_ms > 0 and self.is_available:
            versions = [each for each in entry.versions if isinstance(each, bytes)]
            kept = _Kept(entry.head, entry.tail, sorted(entry.relations), versions, keep_ms, int(spent_s * 1000))
            self._run(self._store(self._entry_key(key), msgspec.msgpack.encode(kept), keep_ms))

    async def _store(self, key: str, value: bytes, keep_ms: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.set(key, value, px=keep_ms)
        except self._errors as exc:
            self._lost(exc)

    # -- writes ----------------------------------------------------------------------------------

    def publish(self, place: Place, written: frozenset[int] | None, on_done: Callable[[], None]) -> bool:
        """Tell of a write; False: nobody can be told now. Otherwise ``on_done`` is called, in the end."""
        if not self.is_available:
            self._owed.add(place)
            return False
        self._run(self._publish(place, written, on_done))
        return True

    async def _publish(self, place: Place, written: frozenset[int] | None, on_done: Callable[[], None]) -> None:
        names = [_EVERYTHING] if written is None else [str(oid) for oid in written]
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._move(place, names)
        except self._errors as exc:
            self._owed.add(place)
            self._lost(exc)
        finally:
            on_done()  # the database has committed: its client must hear that

    async def _move(self, place: Place, names: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.set(self._version_key(place, name), os.urandom(16), ex=_TOKEN_S)
        await pipeline.execute()

    # -- loss ------------------------------------------------------------------------------------

    def _lost(self, error: object) -> None:
        self.failures += 1
        if self.is_available:
            self.is_available = False
            self._tell(self.name, str(error) or type(error).__name__)
            self._run(self._wait_for_it())

    async def _wait_for_it(self) -> None:
        """Try until it answers, and make up for what it missed; only then may anybody read from it."""
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._client.ping()
                    while self._owed:
                        place = next(iter(self._owed))
                        await self._move(place, [_EVERYTHING])
                        self._owed.discard(place)
            except self._errors:
                continue
            self.is_available = True
            self._tell(self.name, "")
            return

    # -- names -----------------------------------------------------------------------------------

    def _entry_key(self, key: Key) -> str:
        # repr() of bytes, text, numbers and tuples of them tells each from every other.
        return f"{self._prefix}:result:{blake2b(repr(key).encode(), digest_size=24).hexdigest()}"

    def _version_key(self, place: Place, name: str) -> str:
        digest = blake2b(repr(tuple(place)).encode(), digest_size=16).hexdigest()
        return f"{self._prefix}:version:{digest}:{name}"

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(spawn(work, name="longshore cache", on_done=self._tasks.discard))
