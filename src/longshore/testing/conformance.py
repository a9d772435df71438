"""The contract of ``longshore.abc.ByteStream`` as a kit that runs on any implementation.

::

    async def make_pair() -> tuple[ByteStream, ByteStream]:
        return memory_stream_pair()

    await check_stream(make_pair)

The first of the pair is checked, the second plays its peer: another ``ByteStream``, or anything that has the
methods of ``StreamPeer`` (for a stream whose other side is no ``ByteStream``, such as a TLS server). Each direction
must hold at least 4 KiB between a peer that sends and a stream that is not read.
``STREAM_CHECKS`` has the checks one by one, for a test runner that names each.

A failure is an ``AssertionError`` that says which promise was broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from longshore.abc import ByteStream
from longshore.errors import SocketError
from longshore.testing import _checks_ending, _checks_reading, _checks_writing
from longshore.testing.driver import StreamDriver, StreamPeer

__all__ = ["STREAM_CHECKS", "MakePair", "StreamCheck", "check_stream", "run_check"]

MakePair: TypeAlias = Callable[[], Awaitable[tuple[ByteStream, ByteStream | StreamPeer]]]
StreamCheck: TypeAlias = Callable[[ByteStream, StreamPeer], Awaitable[None]]


async def check_stream(make_pair: MakePair, *, timeout_s: float = 30.0) -> None:
    """Run every check, each on a fresh pair.

    Args:
        make_pair: returns two connected ends; both are closed after the check.
        timeout_s: bound on each check, after which it counts as failed.

    Raises:
        AssertionError: a promise of ``ByteStream`` is broken; the message names the check.

    Cancellation: safe; the pair is closed.
    """
    for check in STREAM_CHECKS:
        await run_check(check, make_pair, timeout_s=timeout_s)


async def run_check(check: StreamCheck, make_pair: MakePair, *, timeout_s: float = 30.0) -> None:
    """Run one check of ``STREAM_CHECKS`` on a fresh pair.

    Args:
        check: what to run.
        make_pair: returns two connected ends; both are closed afterwards.
        timeout_s: bound, after which it counts as failed.

    Raises:
        AssertionError: the promise is broken.

    Cancellation: safe; the pair is closed.
    """
    stream, other = await make_pair()
    peer: StreamPeer = StreamDriver(other) if isinstance(other, ByteStream) else other
    name = getattr(check, "__name__", repr(check))
    try:
        async with asyncio.timeout(timeout_s):
            await check(stream, peer)
    except TimeoutError as exc:
        raise AssertionError(f"{name}: something that was promised did not happen in {timeout_s} s") from exc
    except AssertionError as exc:
        raise AssertionError(f"{name}: {exc}") from exc
    except (SocketError, OSError) as exc:
        raise AssertionError(f"{name}: what should have succeeded raised {exc!r}") from exc
    finally:
        stream.close()
        peer.close()


STREAM_CHECKS: Final[tuple[StreamCheck, ...]] = (
    _checks_reading.reads_in_order_in_pieces_of_any_size,
    _checks_reading.returns_none_and_calls_back_when_bytes_come,
    _checks_reading.tells_of_bytes_nobody_asked_for,
    _checks_reading.peek_takes_nothing,
    _checks_reading.read_into_fills_the_front_of_the_buffer,
    _checks_reading.end_of_file_comes_after_the_bytes_and_stays,
    _checks_reading.tells_of_an_end_nobody_asked_for,
    _checks_reading.writes_after_the_peers_end,
    _checks_reading.reads_after_its_own_end,
    _checks_writing.is_bounded_and_says_when_there_is_room,
    _checks_writing.carries_both_directions_at_once,
    _checks_writing.takes_any_bytes_like_object,
    _checks_ending.a_reset_is_an_error_every_time,
    _checks_ending.a_reset_behind_unread_bytes_is_noticed,
    _checks_ending.a_write_after_a_reset_raises_and_reads_do_too,
    _checks_ending.a_reset_wakes_a_blocked_writer,
    _checks_ending.close_is_final_silent_and_idempotent,
    _checks_ending.close_delivers_what_was_accepted,
    _checks_ending.close_does_not_answer_unread_bytes_with_a_reset,
    _checks_ending.abort_resets_the_peer,
    _checks_ending.only_the_present_owner_is_called,
    _checks_ending.the_owner_may_close_inside_a_callback,
)
"""Every check, as ``async def check(stream, peer)``; run one with ``run_check``."""
