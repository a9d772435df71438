"""The application that shows a boot failure, in process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from longshore.proto.ipc.messages import ErrorReport
from longshore.runtime.worker.broken import app

REPORT = ErrorReport(type="LookupError", message="no such thing", text="Traceback …\nLookupError: no such thing\n")


async def serve(scope: dict[str, Any], *received: dict[str, Any]) -> list[Any]:
    incoming, sent = iter(received), list[Any]()

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"env": SimpleNamespace(report=msgspec.to_builtins(REPORT)), **scope}, receive, send)
    return sent


async def test_requests_get_the_traceback() -> None:
    start, body = await serve({"type": "http", "headers": [(b"accept", b"*/*")]})
    assert start["status"] == 500
    assert (b"content-type", b"text/plain; charset=utf-8") in start["headers"]
    assert body["body"].decode() == REPORT.text


async def test_websockets_are_closed() -> None:
    (sent,) = await serve({"type": "websocket", "headers": []}, {"type": "websocket.connect"})
    assert (sent["type"], sent["code"]) == ("websocket.close", 1011)


async def test_the_lifespan_begins_and_ends() -> None:
    received = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = await serve({"type": "lifespan"}, *received)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_report_that_is_none_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        await serve({"type": "http", "headers": [], "env": SimpleNamespace(report=1)})
