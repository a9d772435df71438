"""A worker as an ASGI application: requests in, responses and reports out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.workers._context import current_context, current_request_id
from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from longshore.workers import *\nimport asyncio\n"


def fetch(body: str) -> str:
    """Return a worker whose handler is ``body``."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}class Default(WorkerEntrypoint):\n  async def fetch(self, request):\n{lines}\n"


async def test_response_is_sent(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("return Response('hello', status=201, headers={'x-a': 'b'})"))
    answer = await call(app)
    assert (answer.status, answer.text, answer.is_complete) == (201, "hello", True)
    assert answer.headers == {"content-type": "text/plain;charset=UTF-8", "content-length": "5", "x-a": "b"}
    assert app.handlers == ("fetch",)


async def test_request_is_what_was_sent(tmp_path: Path) -> None:
    source = fetch("return Response.json([str(request.method), request.url, await request.text()])")
    app, _ = make_app(tmp_path, source)
    answer = await call(app, "/a%20b?x=1", "POST", body=(b"on", b"e"))
    assert answer.text == '["POST", "http://localhost/a%20b?x=1", "one"]' or answer.text == (
        '["POST","http://localhost/a%20b?x=1","one"]'
    )


async def test_env_is_given(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("return Response(self.env.NAME)"), env={"NAME": "value"})
    assert (await call(app)).text == "value"


async def test_awaitable_that_is_no_coroutine(tmp_path: Path) -> None:
    source = HEAD + "def on_fetch():\n  return asyncio.ensure_future(asyncio.sleep(0, Response('later')))"
    app, _ = make_app(tmp_path, source)
    assert (await call(app)).text == "later"


async def test_response_of_fetch_is_a_response(tmp_path: Path) -> None:
    source = HEAD + "def on_fetch():\n  r = FetchResponse.__new__(Response)\n  r.__init__('x')\n  return r"
    app, _ = make_app(tmp_path, source)
    assert (await call(app)).text == "x"


async def test_head_has_the_headers_and_a_body_for_the_server_to_drop(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("return Response('hello')"))
    assert (await call(app, method="HEAD")).headers["content-length"] == "5"


WRONG = {
    "None": "None: is a return missing?",
    "'text'": "str: return Response(text)",
    "b'data'": "bytes: return Response(data)",
    "{'a': 1}": "dict: return Response.json(data)",
    "[1]": "list: return Response.json(data)",
    "404": 'int: return Response("", status=...)',
    "(x for x in [])": "a generator: give it to a Response",
    "Response": 'type: return Response("...")',
    "request": 'Request: return Response("...")',
}


@pytest.mark.parametrize(("value", "text"), WRONG.items())
async def test_wrong_return_value_says_what_to_return(tmp_path: Path, value: str, text: str) -> None:
    app, recorder = make_app(tmp_path, fetch(f"return {value}"), is_dev=True)
    answer = await call(app)
    assert answer.status == 500
    assert f"TypeError: the fetch handler must return a Response; it returned {text}" in answer.text
    assert "the handler is Default.fetch() at" in answer.text
    assert len(recorder.failures) == 1


async def test_handler_that_is_an_async_generator(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("yield b''"), is_dev=True)
    assert "it returned a async_generator: give it to a Response" in (await call(app)).text


async def test_worker_without_a_fetch_handler(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, "def on_scheduled(): ...")
    assert (await call(app)).status == 500
    text = 'Python entrypoint "entry.py" does not export a handler named "on_fetch"'
    assert recorder.failures[0].report.message == text


# -- failures -------------------------------------------------------------------------------------


async def test_failure_in_production_tells_the_client_nothing(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("raise ValueError('secret')"))
    answer = await call(app, headers={"accept": "text/html"})
    (failure,) = recorder.failures
    assert answer.status == 500
    assert answer.text == f"Internal Server Error\nrequest {failure.request_id}\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert (failure.where, failure.subject) == ("fetch", "GET /")
    assert (failure.report.type, failure.report.message) == ("ValueError", "secret")


async def test_failure_in_development_is_text_for_curl(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("raise ValueError('secret')"), is_dev=True)
    answer = await call(app, headers={"accept": "*/*"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "Traceback (most recent call last):\n"
        f'  File "{tmp_path}/entry.py", line 5, in fetch\n'
        "    raise ValueError('secret')\n"
        "ValueError: secret\n"
    )


async def test_failure_in_development_is_a_page_for_browsers(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("raise ValueError('<secret>')"), is_dev=True)
    answer = await call(app, headers={"accept": "text/html,application/xhtml+xml"})
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")
    assert "&lt;secret&gt;" in answer.text


@pytest.mark.parametrize("error", ["SystemExit(1)", "BaseException('x')", "asyncio.CancelledError()"])
async def test_whatever_a_handler_raises_is_its_failure(tmp_path: Path, error: str) -> None:
    app, recorder = make_app(tmp_path, fetch(f"raise {error}"))
    assert (await call(app)).status == 500
    assert len(recorder.failures) == 1
    assert recorder.finished[0].outcome == "error"


async def test_interrupt_is_not_the_handlers(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        Call(app).run().send(None)  # not in a task, which would end the loop
    assert recorder.failures == []
    assert app.in_flight == 0


async def test_response_that_was_read_already_is_a_failure(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("r = Response('x')\nawait r.text()\nreturn r"))
    assert (await call(app)).status == 500
    assert recorder.failures[0].report.type == "OSError"


async def test_server_that_refuses_a_response_is_a_failure_too(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("return Response('x')"))
    one = Call(app)

    async def refuse(message: dict[str, Any]) -> None:
        raise RuntimeError("Invalid HTTP header value.")

    await app(one.scope, one.receive, refuse)
    assert recorder.failures[0].report.message == "Invalid HTTP header value."
    assert recorder.finished[0].outcome == "error"


# -- reports --------------------------------------------------------------------------------------


async def test_request_finished_is_reported(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("return Response('x', status=202)"))
    await call(app, "/a?b=c", "PUT")
    (one,) = recorder.finished
    assert (one.method, one.path, one.status, one.outcome, one.client) == ("PUT", "/a?b=c", 202, "ok", "127.0.0.1")
    assert one.duration_s >= 0


async def test_requests_are_not_reported_when_nobody_wants_to_know(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("return Response('x')"), log_requests=False)
    await call(app)
    assert recorder.messages == []


async def test_each_request_has_its_own_id(tmp_path: Path) -> None:
    app, recorder = make_app(tmp_path, fetch("return Response(self.ctx.request_id)"))
    texts = [(await call(app)).text for _ in range(3)]
    assert texts == [one.request_id for one in recorder.finished]
    assert len(set(texts)) == 3


async def test_context_is_current_in_the_handler_and_in_its_tasks_only(tmp_path: Path) -> None:
    source = "from longshore.workers._context import current_request_id as i\n" + fetch(
        "return Response(i() + ' ' + await asyncio.create_task(asyncio.to_thread(i)) + ' ' + self.ctx.request_id)"
    )
    app, _ = make_app(tmp_path, source)
    first, second, third = (await call(app)).text.split()
    assert first == second == third
    assert current_context.get() is None
    assert current_request_id() == ""


async def test_requests_in_flight_are_counted(tmp_path: Path) -> None:
    gate, may_go = asyncio.Event(), asyncio.Event()
    app, _ = make_app(
        tmp_path,
        fetch("self.env.GATE.set()\nawait self.env.OPEN.wait()\nreturn Response('')"),
        env={"GATE": gate, "OPEN": may_go},
    )
    task = Call(app).start()
    await gate.wait()
    assert app.in_flight == 1
    may_go.set()
    await task
    assert app.in_flight == 0


# -- lifespan -------------------------------------------------------------------------------------


async def test_lifespan_of_an_sdk_worker_is_answered(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path, fetch("return Response('')"))
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
