"""The conformance kit on streams that keep the contract, and on streams that break it in one point each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.errors import ClosedError, SocketError
from longshore.testing import (
    STREAM_CHECKS,
    MakePair,
    StreamCheck,
    StreamDriver,
    check_stream,
    memory_stream_pair,
    run_check,
)

if TYPE_CHECKING:
    from longshore.abc import ByteStream, StreamOwner


async def make_pair() -> tuple[ByteStream, ByteStream]:
    return memory_stream_pair()


@pytest.mark.parametrize("check", STREAM_CHECKS, ids=lambda check: check.__name__)
async def test_memory_streams_keep_the_contract(check: StreamCheck) -> None:
    await run_check(check, make_pair)


@pytest.mark.parametrize("capacity_bytes", [4096, 5000])
async def test_small_buffers_keep_the_contract(capacity_bytes: int) -> None:
    async def make() -> tuple[ByteStream, StreamDriver]:
        near, far = memory_stream_pair(capacity_bytes=capacity_bytes)
        return Buffered(near), StreamDriver(Buffered(far))

    await check_stream(make)


async def test_the_peer_may_be_a_driver() -> None:
    async def make() -> tuple[ByteStream, StreamDriver]:
        near, far = memory_stream_pair()
        return near, StreamDriver(far)

    await check_stream(make)


async def test_both_ends_are_closed_afterwards() -> None:
    ends: list[ByteStream] = []

    async def make() -> tuple[ByteStream, ByteStream]:
        pair = memory_stream_pair()
        ends.extend(pair)
        return pair

    await check_stream(make)
    for end in ends:
        with pytest.raises(ClosedError):
            end.try_read(1)


def test_every_check_has_a_name_and_says_what_it_checks() -> None:
    names = [check.__name__ for check in STREAM_CHECKS]
    assert len(set(names)) == len(names) > 20
    assert all(check.__doc__ for check in STREAM_CHECKS)


class Wrapper:
    """Passes every call on to a memory stream; base of the broken ones."""

    def __init__(self, inner: ByteStream) -> None:
        self.inner = inner

    def set_owner(self, owner: StreamOwner | None) -> None:
        self.inner.set_owner(owner)

    def try_read(self, max_bytes: int) -> bytes | None:
        return self.inner.try_read(max_bytes)

    def try_read_into(self, buffer: memoryview) -> int | None:
        return self.inner.try_read_into(buffer)

    def peek(self) -> bool | None:
        return self.inner.peek()

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        return self.inner.try_write(data)

    def flush(self) -> bool:
        return self.inner.flush()

    def try_write_eof(self, *, closing: bool = False) -> bool:
        return self.inner.try_write_eof(closing=closing)

    def close(self) -> None:
        self.inner.close()

    def abort(self) -> None:
        self.inner.abort()

    def fileno(self) -> int:
        return self.inner.fileno()


class Buffered(Wrapper):
    """Accepts a batch although the inner stream takes less, and holds it until ``flush``, as TLS does."""

    def __init__(self, inner: ByteStream) -> None:
        super().__init__(inner)
        self.owner: StreamOwner | None = None
        self.held = b""

    def set_owner(self, owner: StreamOwner | None) -> None:
        self.owner = owner
        self.inner.set_owner(None if owner is None else self)

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        accepted = 0
        while accepted < len(data) and self.flush():
            self.held = bytes(data[accepted : accepted + 1000])
            accepted += len(self.held)
        self.flush()
        return accepted

    def flush(self) -> bool:
        if self.held:
            self.held = self.held[self.inner.try_write(self.held) :]
        return not self.held

    def try_write_eof(self, *, closing: bool = False) -> bool:
        return self.flush() and self.inner.try_write_eof(closing=closing)

    def close(self) -> None:
        self.owner = None
        super().close()

    def on_readable(self) -> None:
        if self.owner is not None:
            self.owner.on_readable()

    def on_writable(self) -> None:
        try:
            is_flushed = self.flush()
        except SocketError:
            is_flushed = True  # the owner meets the error at its next call
        if self.owner is not None and is_flushed:
            self.owner.on_writable()

    def on_broken(self, error: Exception) -> None:
        if self.owner is not None:
            self.owner.on_broken(error)


class EofAfterReset(Wrapper):
    """Breaks rule K5."""

    def try_read(self, max_bytes: int) -> bytes | None:
        try:
            return super().try_read(max_bytes)
        except ConnectionError:
            return b""


class ErrorOnlyOnce(Wrapper):
    """Forgets its error."""

    raised = False

    def try_read(self, max_bytes: int) -> bytes | None:
        if self.raised:
            return b""
        try:
            return super().try_read(max_bytes)
        except ConnectionError:
            self.raised = True
            raise


class PeekThatTakes(Wrapper):
    """Loses the byte it looked at."""

    def peek(self) -> bool | None:
        data = self.inner.try_read(1)
        return None if data is None else bool(data)


class Unbounded(Wrapper):
    """Accepts everything, and drops what does not fit."""

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        super().try_write(data)
        return len(data)


class ReadsTooMuch(Wrapper):
    """Does not care for max_bytes."""

    def try_read(self, max_bytes: int) -> bytes | None:
        return super().try_read(65536)


class CallsBackFromWithin(Wrapper):
    """Surprises its owner in the middle of a call."""

    owner: StreamOwner | None = None

    def set_owner(self, owner: StreamOwner | None) -> None:
        self.owner = owner
        super().set_owner(owner)

    def try_read(self, max_bytes: int) -> bytes | None:
        data = super().try_read(max_bytes)
        if data is None and self.owner is not None:
            self.owner.on_readable()
        return data


class CallsBackFromATask(Wrapper):
    """Calls its owner from a task."""

    def set_owner(self, owner: StreamOwner | None) -> None:
        if owner is None:
            super().set_owner(None)
        else:
            super().set_owner(TaskOwner(owner))


class TaskOwner:
    """Makes a task for every call."""

    def __init__(self, owner: StreamOwner) -> None:
        self.owner = owner
        self.tasks: set[asyncio.Task[None]] = set()

    def on_readable(self) -> None:
        async def tell() -> None:
            self.owner.on_readable()

        self.tasks.add(asyncio.create_task(tell()))

    def on_writable(self) -> None:
        self.owner.on_writable()

    def on_broken(self, error: Exception) -> None:
        self.owner.on_broken(error)


class KeepsTheFormerOwner(Wrapper):
    """Listens to the first set_owner only."""

    has_owner = False

    def set_owner(self, owner: StreamOwner | None) -> None:
        if not self.has_owner:
            self.has_owner = True
            super().set_owner(owner)


class CloseIsAbort(Wrapper):
    """Resets where it should end."""

    def close(self) -> None:
        self.inner.abort()


class AbortIsClose(Wrapper):
    """Ends where it should reset."""

    def abort(self) -> None:
        self.inner.close()


class NeverCallsBack(Wrapper):
    """Leaves its owner waiting."""

    def set_owner(self, owner: StreamOwner | None) -> None:
        self.inner.set_owner(None)


class EofEndsBothDirections(Wrapper):
    """Cannot half-close."""

    is_ended = False

    def try_write_eof(self, *, closing: bool = False) -> bool:
        self.is_ended = True
        return super().try_write_eof(closing=closing)

    def try_read(self, max_bytes: int) -> bytes | None:
        return b"" if self.is_ended else super().try_read(max_bytes)


BROKEN = [
    (EofAfterReset, "a_reset_is_an_error_every_time", "a reset was reported as end-of-file"),
    (ErrorOnlyOnce, "a_reset_is_an_error_every_time", "after a reset a call returned b''"),
    (PeekThatTakes, "peek_takes_nothing", "end-of-file after 1 of 5 bytes|peek with"),
    (Unbounded, "is_bounded_and_says_when_there_is_room", "no bound"),
    (ReadsTooMuch, "reads_in_order_in_pieces_of_any_size", r"try_read\(1\) returned 4096 bytes"),
    (CallsBackFromWithin, "returns_none_and_calls_back_when_bytes_come", "from within a call of the stream"),
    (CallsBackFromATask, "tells_of_bytes_nobody_asked_for", "was called from a task"),
    (KeepsTheFormerOwner, "only_the_present_owner_is_called", "a former owner was called"),
    (CloseIsAbort, "close_does_not_answer_unread_bytes_with_a_reset", "should have succeeded raised ResetError"),
    (AbortIsClose, "abort_resets_the_peer", "the peer saw an orderly end"),
    (EofEndsBothDirections, "reads_after_its_own_end", "end-of-file after 0 of 4096 bytes"),
]
CHECKS = {check.__name__: check for check in STREAM_CHECKS}


@pytest.mark.parametrize(("broken", "name", "message"), BROKEN)
async def test_a_broken_promise_is_found_and_named(broken: type[Wrapper], name: str, message: str) -> None:
    with pytest.raises(AssertionError, match=f"^{name}: .*({message})"):
        await run_check(CHECKS[name], pair_with(broken))


async def test_a_callback_that_never_comes_fails_the_check() -> None:
    check = CHECKS["tells_of_bytes_nobody_asked_for"]
    with pytest.raises(AssertionError, match=r"did not happen in 0\.05 s"):
        await run_check(check, pair_with(NeverCallsBack), timeout_s=0.05)


def pair_with(broken: type[Wrapper]) -> MakePair:
    async def make() -> tuple[ByteStream, ByteStream]:
        near, far = memory_stream_pair()
        return broken(near), far

    return make
