"""Plays every row of the settle matrix on real connections (rules K5, K6, K7, K8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore import Promise, SocketError
from tests.sockets.settle_matrix import ACCEPTED, BYTES_THEN, EOF, GONE, PENDING, RESOLVES, ROWS, WAITS, Row
from tests.sockets.settle_scene import Scene, TlsFiles, turns

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine
    from typing import Any

    from longshore import Socket, TlsOptions


@pytest.fixture(scope="module")
def tls_files(
    server_ssl_context: ssl.SSLContext, other_ca_ssl_context: ssl.SSLContext, client_tls: TlsOptions
) -> TlsFiles:
    """What both sides need for TLS."""
    return TlsFiles(server_ssl_context, other_ca_ssl_context, client_tls)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title.replace("`", ""))
async def test_row(row: Row, tls_files: TlsFiles) -> None:
    """K6: both promises settle as the table says, and never change their minds; K5: no failure reads as an end."""
    async with Scene(tls_files) as scene:
        subject = await row.play(scene)
        found = {
            "opened": await seen(subject.opened, row.opened),
            "closed": await seen(subject.closed, row.closed),
        }
        if subject.socket is not None:
            found["writable"] = await written(subject.socket)
            found["readable"] = await read_out(subject.socket, row.readable)
        else:
            found["writable"] = found["readable"] = GONE
        found["closed after read"] = await seen(subject.closed, row.closed_after_read or row.closed)
    wanted = {
        "opened": row.opened,
        "closed": row.closed,
        "writable": row.writable,
        "readable": row.readable,
        "closed after read": row.closed_after_read or row.closed,
    }
    assert found == wanted


def test_every_event_stands_once() -> None:
    titles = [row.title for row in ROWS]
    assert len(set(titles)) == len(titles)


async def seen(promise: Promise[Any], wanted: str) -> str:
    """Return what a promise does; one that should settle is waited for, one that should not is given time."""
    if wanted == PENDING:
        await turns()
        if not promise.done():
            return PENDING
    try:
        await promise
    except SocketError as exc:
        return type(exc).__name__
    return RESOLVES


async def written(socket: Socket) -> str:
    """Return what becomes of a write."""
    return await outcome(socket.writable.write(b"?"), ACCEPTED)


async def read_out(socket: Socket, wanted: str) -> str:
    """Return what reading gives, up to the first read that gives no bytes."""
    prefix = ""
    while True:
        coroutine = socket.readable.read()
        if wanted == WAITS:
            found = await outcome(coroutine, "bytes")
        else:
            found = await waited(coroutine)
        if found != "bytes":
            return prefix + found
        prefix = BYTES_THEN


async def waited(reading: Coroutine[Any, Any, bytes]) -> str:
    try:
        return "bytes" if await reading else EOF
    except SocketError as exc:
        return type(exc).__name__


async def outcome(work: Coroutine[Any, Any, Any], done: str) -> str:
    """Return how the coroutine ends, or that it waits when it had every chance to end."""
    task = asyncio.create_task(work)
    await turns()
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        return WAITS
    error = task.exception()
    if error is None:
        return done if task.result() != b"" else EOF
    assert isinstance(error, SocketError)
    return type(error).__name__
