"""A worker of the SDK behind the real server: what only real connections show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.runtime.worker.served import serving

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from longshore.workers import *\nimport asyncio\n"


class Stage:
    """What worker and test tell each other."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()
        self.may_go = asyncio.Event()
        self.has_ended = asyncio.Event()
        self.count = 0


def worker(body: str) -> str:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    return f"{HEAD}async def on_fetch(request, env, ctx):\n  stage = env.STAGE\n{lines}\n"


async def send(port: int, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    return reader, writer


GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nbegin"

STAGES = {
    "in the handler": (
        GET,
        ("stage.is_there.set()\ntry:\n  await stage.may_go.wait()\nfinally:\n  stage.has_ended.set()"),
    ),
    "in the body": (POST, "stage.is_there.set()\ntry:\n  await request.bytes()\nfinally:\n  stage.has_ended.set()"),
    "while its body is unread": (
        POST.replace("1000", "1000000") + "x" * 100_000,
        ("stage.is_there.set()\ntry:\n  await stage.may_go.wait()\nfinally:\n  stage.has_ended.set()"),
    ),
    "before the first chunk": (
        GET,
        (
            "async def chunks():\n  stage.is_there.set()\n  try:\n    await stage.may_go.wait()\n    yield b''\n"
            "  finally:\n    stage.has_ended.set()\nreturn Response(chunks())"
        ),
    ),
    "in a stream": (
        GET,
        (
            "async def chunks():\n  try:\n    yield b'x'\n    stage.is_there.set()\n    await stage.may_go.wait()\n"
            "  finally:\n    stage.has_ended.set()\nreturn Response(chunks())"
        ),
    ),
    "in a stream that is faster than the client": (
        GET,
        (
            "async def chunks():\n  try:\n    while True:\n      stage.count += 1\n      yield b'x' * 65536\n"
            "      stage.is_there.set()\n  finally:\n    stage.has_ended.set()\nreturn Response(chunks())"
        ),
    ),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(("request_text", "body"), STAGES.values(), ids=STAGES)
async def test_client_that_leaves_ends_the_work(tmp_path: Path, request_text: str, body: str, how: str) -> None:
    stage = Stage()
    async with serving(tmp_path, worker(body), env={"STAGE": stage}) as served:
        _, writer = await send(served.port, request_text)
        await stage.is_there.wait()
        if how == "reset":
            writer.transport.abort()
        else:
            writer.close()
        await stage.has_ended.wait()
        while served.app.in_flight:
            await asyncio.sleep(0)
    assert served.recorder.failures == []
    assert [each.outcome for each in served.recorder.finished] == ["canceled"]
    assert stage.count < 200


async def test_client_that_takes_nothing_holds_the_source_up(tmp_path: Path) -> None:
    stage = Stage()
    body = (
        "async def chunks():\n  for _ in range(400):\n    stage.count += 1\n    yield b'x' * 65536\n"
        "    stage.is_there.set()\nreturn Response(chunks())"
    )
    async with serving(tmp_path, worker(body), env={"STAGE": stage}) as served:
        reader, writer = await send(served.port, GET)
        reader._transport.pause_reading()  # type: ignore[attr-defined] # asyncio's own
        await stage.is_there.wait()
        counts = [-1]
        while counts[-1] != stage.count:  # until the buffers of both sides are full
            counts.append(stage.count)
            for _ in range(200):
                await asyncio.sleep(0)
        assert stage.count < 400
        reader._transport.resume_reading()  # type: ignore[attr-defined] # as above
        writer.close()
        while served.app.in_flight:
            await asyncio.sleep(0)


async def test_failure_in_the_middle_is_no_end_of_the_body(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = "async def chunks():\n  yield b'x'\n  raise ValueError('reset')\nreturn Response(chunks())"
    async with (
        serving(tmp_path, worker(body), env={"STAGE": None}) as served,
        httpx.AsyncClient(base_url=served.url) as http,
    ):
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await http.get("/")
    assert [each.report.message for each in served.recorder.failures] == ["reset"]
    assert caplog.records == []  # it was reported; the server need not say so again


async def test_requests_on_one_connection_do_not_disturb_each_other(tmp_path: Path) -> None:
    stage = Stage()
    body = "if request.path == '/boom': raise ValueError\nreturn Response(request.path)"
    async with (
        serving(tmp_path, worker(body), env={"STAGE": stage}) as served,
        httpx.AsyncClient(base_url=served.url) as http,
    ):
        answers = [await http.get(path) for path in ("/a", "/boom", "/b", "/boom", "/c")]
    assert [each.status_code for each in answers] == [200, 500, 200, 500, 200]
    assert len(served.recorder.failures) == 2
    assert len({each.request_id for each in served.recorder.finished}) == 5


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    body = "await asyncio.sleep(0)\nreturn Response(request.path)"
    async with serving(tmp_path, worker(body), env={"STAGE": None}) as served:
        texts = [
            f"GET /{n} HTTP/1.1\r\nhost: x\r\n{'connection: close' if n == 9 else 'x: y'}\r\n\r\n" for n in range(10)
        ]
        reader, writer = await send(served.port, "".join(texts))
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert [data.index(f"\r\n\r\n/{n}".encode()) for n in range(10)] == sorted(
        data.index(f"\r\n\r\n/{n}".encode()) for n in range(10)
    )


@pytest.mark.parametrize("count", [100])
async def test_many_requests_at_once(tmp_path: Path, count: int) -> None:
    body = "await asyncio.sleep(0)\nawait request.text()\nreturn Response(request.path)"
    async with serving(tmp_path, worker(body), env={"STAGE": None}) as served:
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=served.url, limits=limits) as http:
            answers = await asyncio.gather(*(http.post(f"/{n}", content=b"x") for n in range(count)))
    assert [each.text for each in answers] == [f"/{n}" for n in range(count)]
    assert served.recorder.failures == []
