"""The short way of a whole response gives the same bytes as uvicorn's ``send()``."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from longshore.runtime.worker import sdk_server
from longshore.runtime.worker.whole_response import send_whole
from tests.runtime.worker.served import serving

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
from longshore.workers import *
def on_fetch(request):
    return {
        "/text": lambda: Response("hello"),
        "/empty": lambda: Response(),
        "/nothing": lambda: Response(None, status=204),
        "/unchanged": lambda: Response(None, status=304, headers={"etag": '"x"'}),
        "/gone": lambda: Response("no", status=410),
        "/odd": lambda: Response("odd", status=599),
        "/json": lambda: Response.json([1, 2]),
        "/large": lambda: Response("x" * 100_000),
        "/headers": lambda: Response("x", headers=[("X-A", "1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]),
        "/close": lambda: Response("x", headers={"connection": "close"}),
        "/keep": lambda: Response("x", headers={"connection": "keep-alive"}),
        "/length": lambda: Response("x", headers={"content-length": "5"}),
    }[request.path]()
"""

PATHS = re.findall(r'"(/\w+)"', WORKER)

REQUESTS = {
    "plain": "GET {} HTTP/1.1\r\nhost: x\r\n\r\nGET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "head": "HEAD {} HTTP/1.1\r\nhost: x\r\n\r\nHEAD {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "http/1.0": "GET {} HTTP/1.0\r\n\r\n",
    "expect": (
        "POST {} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi"
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    ),
    "body that nobody reads": (
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    ),
}


async def answers(port: int, request: str) -> bytes:
    """Return everything that a connection gives, without the time of day."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return re.sub(rb"date: [^\r]*", b"date: now", data)


@pytest.mark.parametrize("request_text", REQUESTS.values(), ids=REQUESTS)
async def test_same_bytes_as_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_text: str) -> None:
    used: list[bool] = []

    def counted(*args: object) -> bool:
        used.append(send_whole(*args))  # type: ignore[arg-type] # passed on
        return used[-1]

    async with serving(tmp_path, WORKER) as worker:
        for path in PATHS:
            text = request_text.format(path, path)
            monkeypatch.setattr(sdk_server, "send_whole", counted)
            short = await answers(worker.port, text)
            monkeypatch.setattr(sdk_server, "send_whole", lambda *_: False)
            assert short == await answers(worker.port, text), path
            assert short.startswith(b"HTTP/1.1 "), path
    closing = request_text.count("connection: close")
    assert (True in used) is (request_text.count("HTTP/1") > closing)  # the others are for uvicorn
    assert False in used
    assert worker.recorder.failures == []


def test_another_servers_send_is_left_to_itself() -> None:
    async def send(message: object) -> None: ...

    assert send_whole(send, 200, [(b"content-length", b"1")], b"x") is False
    assert send_whole(asyncio.Event().wait, 200, [], b"") is False
