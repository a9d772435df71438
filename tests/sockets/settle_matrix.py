"""The settle matrix: what each event makes of a socket's two promises and two streams (rules K5 to K8).

``test_settle_matrix.py`` plays every row on real connections, and ``tools/gen_lifecycle_table.py`` prints the same
rows into ``docs/reference/socket-lifecycle.md``: the page says what is tested, and nothing else.

The cells are looked at in this order: ``opened`` and ``closed`` as they are after the event, then a write, then
reads up to the first that does not return bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.sockets import settle_plays as play

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.sockets.settle_scene import Scene, Subject

__all__ = [
    "ACCEPTED",
    "BYTES_THEN",
    "EOF",
    "GONE",
    "PENDING",
    "RESOLVES",
    "ROWS",
    "SECTIONS",
    "WAITS",
    "Row",
    "Section",
]

Play: TypeAlias = "Callable[[Scene], Awaitable[Subject]]"

RESOLVES: Final = "resolves"
PENDING: Final = "pending"
EOF: Final = "end-of-file"
WAITS: Final = "waits"
ACCEPTED: Final = "accepted"
BYTES_THEN: Final = "bytes, then "
GONE: Final = "—"

_CLOSED, _RESET, _TLS = "ClosedError", "ResetError", "TlsError"


@dataclass(frozen=True, slots=True)
class Row:
    """One event. A cell is one of the words above, or the name of the error that is raised."""

    event: str
    opened: str
    closed: str
    readable: str
    writable: str
    play: Play
    closed_after_read: str | None = None
    """What becomes of ``closed`` by the reading, where that differs."""
    half_open: bool | None = None
    """``allow_half_open``, in rows where it matters."""

    @property
    def title(self) -> str:
        """The event as it is shown."""
        return self.event if self.half_open is None else f"{self.event} (`allow_half_open={self.half_open}`)"


@dataclass(frozen=True, slots=True)
class Section:
    """Rows with something in common."""

    title: str
    rows: tuple[Row, ...]


def _failed(event: str, error: str, play: Play) -> Row:
    return Row(event, error, error, error, error, play)


def _broken(event: str, error: str, play: Play) -> Row:
    return Row(event, RESOLVES, error, error, error, play)


def _unharmed(event: str, play: Play) -> Row:
    return Row(event, RESOLVES, PENDING, WAITS, ACCEPTED, play)


def _peer_ends(event: str, play: Callable[[bool], Play]) -> tuple[Row, Row]:
    closes = Row(event, RESOLVES, RESOLVES, EOF, _CLOSED, play(False), half_open=False)
    stays = replace(closes, closed=PENDING, writable=ACCEPTED, play=play(True), half_open=True)
    return closes, stays


CONNECTING: Final = Section(
    "Connecting",
    (
        Row("the connection is being made", PENDING, PENDING, WAITS, ACCEPTED, play.connecting),
        _unharmed("the connection is up", play.connected),
        _failed("the connection is refused", "ConnectError", play.refused),
        _failed("the name is not found", "ResolveError", play.name_not_found),
        _failed("policy forbids the destination", "PolicyDenied", play.denied),
        _failed("`connect_timeout_s` runs out", "ConnectTimeout", play.connect_timed_out),
        _failed("the TLS handshake fails", _TLS, play.untrusted),
        _failed("the peer hangs up during the TLS handshake", _TLS, play.handshake_cut),
        _failed("`connect_timeout_s` runs out during the TLS handshake", "ConnectTimeout", play.handshake_stalled),
    ),
)

PEER_ENDS: Final = Section(
    "The peer ends its side (FIN)",
    (
        *_peer_ends("FIN, met by `read()`", play.fin_met_by_read),
        *_peer_ends("FIN, met by `read_into()`", play.fin_met_by_read_into),
        *_peer_ends("FIN, met by `async for`", play.fin_met_by_async_for),
        *_peer_ends("FIN, met by a reader", play.fin_met_by_reader),
        *_peer_ends("FIN, met by `pipe_to()`", play.fin_met_by_pipe),
        *_peer_ends("FIN, met by a branch of `tee()`", play.fin_met_by_tee),
        *_peer_ends("FIN, nobody reads, nothing is unread", play.fin_unread),
        Row(
            "FIN behind unread bytes",
            RESOLVES,
            PENDING,
            BYTES_THEN + EOF,
            ACCEPTED,
            play.fin_behind_bytes(False),
            closed_after_read=RESOLVES,
            half_open=False,
        ),
        Row(
            "FIN behind unread bytes",
            RESOLVES,
            PENDING,
            BYTES_THEN + EOF,
            ACCEPTED,
            play.fin_behind_bytes(True),
            half_open=True,
        ),
        Row("FIN, then `writable.close()`", RESOLVES, RESOLVES, EOF, _CLOSED, play.fin_then_close, half_open=True),
        Row("`writable.close()`", RESOLVES, PENDING, WAITS, _CLOSED, play.write_closed),
        Row("`writable.close()`, then FIN", RESOLVES, RESOLVES, EOF, _CLOSED, play.close_then_fin(False), None, False),
        Row("`writable.close()`, then FIN", RESOLVES, RESOLVES, EOF, _CLOSED, play.close_then_fin(True), None, True),
        *_peer_ends("TLS close_notify and FIN", play.tls_close_notify),
        Row(
            "`writable.close()`, then bytes and close_notify under TLS",
            RESOLVES,
            PENDING,
            BYTES_THEN + EOF,
            _CLOSED,
            play.tls_half_close,
            closed_after_read=RESOLVES,
        ),
    ),
)

BREAKS: Final = Section(
    "The connection breaks",
    (
        _broken("RST while a read waits", _RESET, play.reset_while_reading),
        _broken("RST, nobody reads, nothing is unread", _RESET, play.reset_unread),
        Row("RST behind unread bytes", RESOLVES, _RESET, BYTES_THEN + _RESET, _RESET, play.reset_behind_bytes),
        Row("RST behind unread bytes, then `close()`", RESOLVES, _RESET, _CLOSED, _RESET, play.reset_then_close),
        Row("RST after `writable.close()`", RESOLVES, _RESET, _RESET, _CLOSED, play.reset_after_write_closed),
        Row("RST after FIN", RESOLVES, _RESET, EOF, _RESET, play.reset_after_fin, half_open=True),
        _broken("FIN without close_notify under TLS, met by a read", _TLS, play.truncated_read),
        _broken("FIN without close_notify under TLS, nobody reads", _TLS, play.truncated_unread),
        Row(
            "FIN without close_notify behind unread bytes",
            RESOLVES,
            PENDING,
            BYTES_THEN + _TLS,
            ACCEPTED,
            play.truncated_behind_bytes,
            closed_after_read=_TLS,
        ),
        _broken("a damaged TLS record", _TLS, play.damaged_record),
    ),
)

WE_END: Final = Section(
    "This side ends",
    (
        Row("`close()`", RESOLVES, RESOLVES, _CLOSED, _CLOSED, play.closed),
        Row("`async with` is left", RESOLVES, RESOLVES, _CLOSED, _CLOSED, play.block_left),
        Row("`close()` while bytes are queued", RESOLVES, PENDING, _CLOSED, _CLOSED, play.close_queued),
        Row("… and then the peer takes them", RESOLVES, RESOLVES, _CLOSED, _CLOSED, play.close_flushed),
        Row("… or `timeout_s` runs out", RESOLVES, _CLOSED, _CLOSED, _CLOSED, play.close_timed_out),
        Row("… or the peer resets", RESOLVES, _RESET, _CLOSED, _RESET, play.close_reset),
        Row(
            "`close()` after a failed connect",
            "ConnectError",
            "ConnectError",
            "ConnectError",
            "ConnectError",
            play.close_after_refused,
        ),
        Row("`close()` while connecting", _CLOSED, RESOLVES, _CLOSED, _CLOSED, play.closed_connecting),
        Row("`abort()`", RESOLVES, _CLOSED, _CLOSED, _CLOSED, play.aborted),
        Row("`abort()` while connecting", _CLOSED, _CLOSED, _CLOSED, _CLOSED, play.aborted_connecting),
        Row("an exception leaves `async with`", RESOLVES, _CLOSED, _CLOSED, _CLOSED, play.block_failed),
        Row("the signal is aborted", RESOLVES, _CLOSED, _CLOSED, _CLOSED, play.signalled),
        Row("the signal is aborted while connecting", _CLOSED, _CLOSED, _CLOSED, _CLOSED, play.signalled_connecting),
        Row("`readable.cancel()`", RESOLVES, PENDING, EOF, ACCEPTED, play.cancelled),
        *(
            replace(row, event=row.event.replace("FIN", "`readable.cancel()`, then FIN"))
            for row in _peer_ends("FIN", play.cancel_then_fin)
        ),
        Row("`readable.cancel()` and `writable.close()`", RESOLVES, RESOLVES, EOF, _CLOSED, play.cancel_and_close),
        Row("`writable.abort()`", RESOLVES, PENDING, WAITS, _CLOSED, play.write_aborted),
        Row("`writable.abort()`, then FIN", RESOLVES, _CLOSED, EOF, _CLOSED, play.write_aborted_then_fin),
        Row("`writable.abort()`, then `close()`", RESOLVES, _CLOSED, _CLOSED, _CLOSED, play.write_aborted_then_close),
        Row("`writable.abort()` and `readable.cancel()`", RESOLVES, _CLOSED, EOF, _CLOSED, play.abort_and_cancel),
        Row("the last reference is dropped", RESOLVES, _CLOSED, GONE, GONE, play.dropped),
    ),
)

UPGRADES: Final = Section(
    "`start_tls()`",
    (
        Row("handshake done: the old socket", RESOLVES, RESOLVES, _CLOSED, _CLOSED, play.upgraded_old),
        _unharmed("handshake done: the new socket", play.upgraded_new),
        Row("during the handshake: the new socket", PENDING, PENDING, WAITS, ACCEPTED, play.upgrading_new),
        Row("handshake failed: the old socket", RESOLVES, RESOLVES, _CLOSED, _CLOSED, play.upgrade_failed_old),
        _failed("handshake failed: the new socket", _TLS, play.upgrade_failed_new),
        _failed("plaintext before the handshake: the new socket", _TLS, play.upgrade_injected),
        Row("`close()` during the handshake: the new socket", _CLOSED, RESOLVES, _CLOSED, _CLOSED, play.upgrade_closed),
        Row(
            "the connect fails after `start_tls()`: the old socket",
            "ConnectError",
            RESOLVES,
            _CLOSED,
            _CLOSED,
            play.upgrade_refused_old,
        ),
        _failed("the connect fails after `start_tls()`: the new socket", "ConnectError", play.upgrade_refused_new),
        _unharmed("a precondition fails (`UsageError`)", play.upgrade_not_allowed),
    ),
)

TASKS: Final = Section(
    "A task that waits is cancelled",
    (
        Row("waiting for `opened`", PENDING, PENDING, WAITS, ACCEPTED, play.cancel_opened),
        _unharmed("waiting for `closed`", play.cancel_closed),
        _unharmed("waiting for `read()`", play.cancel_read),
        _unharmed("waiting for `write()`, and then the peer takes the bytes", play.cancel_write),
        Row(
            "waiting for `close()`, and then the peer takes the bytes",
            RESOLVES,
            RESOLVES,
            _CLOSED,
            _CLOSED,
            play.cancel_close,
        ),
    ),
)

SECTIONS: Final = (CONNECTING, PEER_ENDS, BREAKS, WE_END, UPGRADES, TASKS)
ROWS: Final = tuple(row for section in SECTIONS for row in section.rows)
