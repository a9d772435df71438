"""K13 for ``fetch()``: it, and the reading of its body, are cancelled at each of their suspensions."""

from __future__ import annotations

import pytest

from longshore import AbortController
from longshore.workers import fetch
from tests.sweep import MODES, Attempt, sweep
from tests.workers.test_fetch import web
from tests.workers.web import BIG_CHUNK

modes = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.replace(" ", "-"))


@modes
@pytest.mark.parametrize("has_signal", [False, True])
async def test_a_request(mode: str, has_signal: bool) -> None:
    """After a cancellation the same worker goes on, and nothing is left of the request."""

    async def play(attempt: Attempt) -> None:
        async with web() as (_, url):
            signal = AbortController().signal if has_signal else None
            response = await attempt.run(fetch(f"{url}/to/307?/echo", method="POST", body=b"once", signal=signal))
            if response is not None:
                assert await response.bytes() == b"once"
            assert await (await fetch(f"{url}/hello")).text() == "hello"
            if signal is not None:
                assert not signal._callbacks

    assert await sweep(play, mode) >= 1


@modes
async def test_reading_a_body(mode: str) -> None:
    """No byte is lost: the next read goes on where the cancelled one would have begun."""

    async def play(attempt: Attempt) -> None:
        async with web() as (_, url):
            response = await fetch(f"{url}/stream/2")
            assert response.body is not None
            data = bytearray(await attempt.run(response.body.read()) or b"")
            async for chunk in response.body:
                data += chunk
            assert data == BIG_CHUNK * 2

    assert await sweep(play, mode) >= 1


@modes
async def test_a_whole_body(mode: str) -> None:
    async def play(attempt: Attempt) -> None:
        async with web() as (_, url):
            response = await fetch(f"{url}/stream/3")
            data = await attempt.run(response.bytes())
            assert data in (None, BIG_CHUNK * 3)

    assert await sweep(play, mode) >= 1
