"""``tee()``: two branches over one source, with bounded memory."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING

from longshore.aio.promise import Promise
from longshore.errors import LimitExceeded, SocketError, UsageError

if TYPE_CHECKING:
    from longshore.sockets._readable import ReadSource

__all__ = ["tee_sources"]

# How far one branch may run ahead of the other.
MAX_LEAD_BYTES = 65536


def tee_sources(
    source: ReadSource, max_lead_bytes: int = MAX_LEAD_BYTES, *, may_wait: bool = True
) -> tuple[Branch, Branch]:
    """Return two sources that both yield everything that ``source`` yields.

    Args:
        source: nobody else may read it any more.
        max_lead_bytes: how far one may run ahead of the other.
        may_wait: the faster one waits then; else its reads raise ``LimitExceeded``.
    """
    shared = _Shared(source, max_lead_bytes, may_wait=may_wait)
    branches = Branch(shared), Branch(shared)
    shared.watch(branches)
    return branches


class _Shared:
    """What both branches know. Whoever needs bytes first pulls them, for both."""

    def __init__(self, source: ReadSource, max_lead_bytes: int, *, may_wait: bool) -> None:
        self.source = source
        self.max_lead_bytes = max_lead_bytes
        self.may_wait = may_wait
        # A branch that nobody refers to is not read any more: it takes no bytes, and holds nobody up.
        self._branches: list[weakref.ref[Branch]] = []
        self.is_pulling = False
        self.changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def branches(self) -> list[Branch]:
        """Those that somebody may still read."""
        return [branch for reference in self._branches if (branch := reference()) is not None]

    def watch(self, branches: tuple[Branch, Branch]) -> None:
        """Take the branches, once."""
        self._branches = [weakref.ref(branch, self._on_gone) for branch in branches]

    def _on_gone(self, _: weakref.ref[Branch]) -> None:
        # The garbage collector calls in any thread; whoever waits has set the loop.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.notify)

    async def wait(self) -> None:
        """Wait until a branch or the source has moved."""
        self._loop = asyncio.get_running_loop()
        await self.changed.wait()

    def notify(self) -> None:
        """Let every branch that waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()

    def can_pull(self) -> bool:
        if self.is_pulling:
            return False
        lead_bytes = max((branch.size_bytes for branch in self.branches), default=0)
        if self.may_wait:
            return lead_bytes < self.max_lead_bytes
        # Also at the limit: what follows may be the end.
        if lead_bytes <= self.max_lead_bytes:
            return True
        raise LimitExceeded(
            f"one copy of the stream is {self.max_lead_bytes} bytes ahead of the other: read both at the same time",
            limit="max_lead_bytes",
            value=self.max_lead_bytes,
        )

    async def pull(self, max_bytes: int) -> None:
        """Read one chunk and give it to both; cancelled, it leaves the pulling to the other branch."""
        self.is_pulling = True
        try:
            data = await self.source.read(max_bytes)
        except SocketError as exc:
            self._end(exc)
        else:
            if data:
                for branch in self.branches:
                    branch.push(data)
            else:
                self._end(None)
        finally:
            self.is_pulling = False
            self.notify()

    def _end(self, error: SocketError | None) -> None:
        for branch in self.branches:
            branch.finish(error)

    def cancel_if_unwanted(self, reason: object) -> None:
        if all(branch.cancelled for branch in self.branches):
            self.source.cancel(reason)


class Branch:
    """One of the two (a ``ReadSource``)."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._chunks: deque[bytes] = deque()
        self._error: SocketError | None = None
        self._ended = False
        self._pending = False
        self.closed: Promise[None] = Promise()
        self.cancelled = False
        self.is_disturbed = False
        """True once somebody has read it."""
        self.size_bytes = 0

    @property
    def is_pending(self) -> bool:
        """True while a read waits."""
        return self._pending

    async def read(self, max_bytes: int) -> bytes:
        """Return 1..max_bytes bytes, or ``b""`` at end-of-file."""
        if self._pending:
            raise UsageError("a read is already pending on this stream: await it before the next one")
        self._pending = self.is_disturbed = True
        try:
            while not self._chunks:
                if self.cancelled or self._ended:
                    return self._at_end()
                if self._shared.can_pull():
                    await self._shared.pull(max_bytes)
                else:
                    await self._shared.wait()
            return self._take(max_bytes)
        finally:
            self._pending = False

    async def read_into(self, buffer: memoryview) -> int:
        """Fill the front of ``buffer``; 0 at end-of-file."""
        data = await self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def cancel(self, reason: object) -> None:
        """Lose interest; the source is cancelled when both branches have."""
        if not self.cancelled:
            self.cancelled = True
            self._chunks.clear()
            self.size_bytes = 0
            self.finish(None)
            self._shared.cancel_if_unwanted(reason)
            self._shared.notify()

    def push(self, data: bytes) -> None:
        """Take a chunk."""
        if not self.cancelled:
            self._chunks.append(data)
            self.size_bytes += len(data)

    def finish(self, error: SocketError | None) -> None:
        """Take the end."""
        if self._ended:
            return
        self._ended, self._error = True, error
        if error is None:
            self.closed.resolve(None)
        else:
            self.closed.reject(error)

    def _take(self, max_bytes: int) -> bytes:
        chunk = self._chunks.popleft()
        if len(chunk) > max_bytes:
            self._chunks.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        self.size_bytes -= len(chunk)
        self._shared.notify()
        return chunk

    def _at_end(self) -> bytes:
        if self._error is not None:
            raise self._error.with_traceback(None)
        return b""
