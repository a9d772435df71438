"""An ASGI client in process: it sends one request to an application and keeps what comes back."""

from __future__ import annotations

import asyncio
import linecache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from longshore.config.model import ServeSettings, WorkerConfig
from longshore.proto.ipc.messages import HandlerFailed, RequestFinished, WorkerMessage
from longshore.runtime.worker.app import WorkerApp
from longshore.runtime.worker.client import ClientConnection
from longshore.runtime.worker.entry import find_entry
from longshore.workers._env import Env

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Call", "Recorder", "call", "make_app", "make_module"]


class Recorder:
    """A ``Reporter`` that keeps everything."""

    def __init__(self) -> None:
        self.messages: list[WorkerMessage] = []

    def send(self, message: WorkerMessage) -> None:
        self.messages.append(message)

    @property
    def failures(self) -> list[HandlerFailed]:
        return [each for each in self.messages if isinstance(each, HandlerFailed)]

    @property
    def finished(self) -> list[RequestFinished]:
        return [each for each in self.messages if isinstance(each, RequestFinished)]


def make_module(folder: Path, source: str, name: str = "entry") -> ModuleType:
    """Return a module made of ``source``, with a file behind it for tracebacks."""
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    linecache.checkcache(str(path))
    module = ModuleType(name)
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def make_app(
    folder: Path,
    source: str,
    *,
    env: dict[str, Any] | None = None,
    attribute: str | None = None,
    is_dev: bool = False,
    log_requests: bool = True,
    grace_s: float = 0.0,
    body_timeout_s: float = 60.0,
) -> tuple[WorkerApp, Recorder]:
    """Return the worker that ``source`` is, and where its reports go."""
    recorder = Recorder()
    config = WorkerConfig(
        name="test",
        main=str(folder / "entry.py"),
        module_root=str(folder),
        project_dir=str(folder),
        serve=ServeSettings(disconnect_grace_s=grace_s, body_timeout_s=body_timeout_s),
    )
    entry = find_entry(make_module(folder, source), attribute)
    app = WorkerApp(entry, Env(env or {}), config, recorder, is_dev=is_dev, log_requests=log_requests)
    return app, recorder


class Call:
    """One request.

    Args:
        app: the application.
        path: with the query string.
        method: of the request.
        headers: of the request.
        body: in the parts that ``receive()`` gives.
        has_connection: whether the scope has ``longshore.connection``, as under the worker's own server.
    """

    def __init__(
        self,
        app: Any,
        path: str = "/",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: tuple[bytes, ...] = (),
        *,
        has_connection: bool = True,
    ) -> None:
        self.app = app
        self.connection = ClientConnection()
        raw, _, query = path.partition("?")
        given = {"host": "localhost", **(headers or {})}
        if body:
            given.setdefault("transfer-encoding", "chunked")
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8787),
        }
        if has_connection:
            self.scope["longshore.connection"] = self.connection
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for part in body or (b"",):
            self._to_app.put_nowait({"type": "http.request", "body": part, "more_body": True})
        self._end_body()
        self.has_left = False
        self.started = asyncio.Event()
        """Set when the head of the response was sent."""
        self.got_body = asyncio.Event()
        """Set when a part of the body was sent."""
        self.may_take = asyncio.Event()
        """While it is not set, the client takes nothing more: ``send()`` waits."""
        self.may_take.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.is_complete = False

    def _end_body(self) -> None:
        last = self._to_app._queue[-1]  # type: ignore[attr-defined] # the deque of a Queue
        last["more_body"] = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    async def receive(self) -> dict[str, Any]:
        return await self._to_app.get()

    async def send(self, message: dict[str, Any]) -> None:
        await self.may_take.wait()
        if self.has_left:
            return  # as uvicorn does
        if message["type"] == "http.response.start":
            assert not self.started.is_set(), "a second head"
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.started.set()
        else:
            assert message["type"] == "http.response.body"
            assert self.started.is_set(), "a body without a head"
            assert not self.is_complete, "a body after its end"
            if message.get("body"):
                self.chunks.append(bytes(message["body"]))
                self.got_body.set()
            self.is_complete = not message.get("more_body", False)

    def leave(self) -> None:
        """Disconnect."""
        self.has_left = True
        self.may_take.set()
        self._to_app.put_nowait({"type": "http.disconnect"})
        self.connection.lose()

    async def run(self) -> Call:
        """Send the request and wait until the application has returned."""
        await self.app(self.scope, self.receive, self.send)
        return self

    def start(self) -> asyncio.Task[Call]:
        """Send the request; the application runs in the task that is returned, as under uvicorn."""
        return asyncio.get_running_loop().create_task(self.run())


async def call(app: Any, path: str = "/", method: str = "GET", **options: Any) -> Call:
    """Send one request and return it when the application has returned."""
    return await Call(app, path, method, **options).run()
