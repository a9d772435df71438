"""``run_worker()``: a worker inside a test, with calls that are not async.

The worker runs in this process, on an event loop in a thread of its own, with the project's configuration as
``longshore dev`` reads it. A test calls its handlers directly (``fetch()``, ``scheduled()``), or over real HTTP
(``http``, ``url``). pytest's fixture ``worker`` (``longshore.testing.pytest_plugin``) is made of this.

Needs the extra ``longshore[workers]``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import msgspec

from longshore.config.load import load_config
from longshore.runtime.host.credentials import stored_secret
from longshore.testing._hosted import HostedWorker, now_ms
from longshore.testing._reports import WorkerLog, users_part
from longshore.workers._env import override_env
from longshore.workers._hyperdrive import Hyperdrive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from longshore.config.model import WorkerConfig
    from longshore.workers._env import Env

__all__ = ["Worker", "WorkerLog", "WorkerResponse", "run_worker"]

BASE_URL = "http://localhost/"
HTTP_TIMEOUT_S = 30.0
DONE_TIMEOUT_S = 10.0


class WorkerResponse:
    """The answer of a worker, complete.

    Args:
        response: as httpx has it.
    """

    __slots__ = ("_response",)

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The status code."""
        return self._response.status_code

    @property
    def ok(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return self._response.is_success

    @property
    def headers(self) -> httpx.Headers:
        """By name, in any case; ``headers.get_list("set-cookie")`` for one that comes twice."""
        return self._response.headers

    @property
    def bytes(self) -> bytes:
        """The body."""
        return self._response.content

    @property
    def text(self) -> str:
        """The body, decoded with the ``charset`` of ``content-type``, or UTF-8."""
        return self._response.text

    def json(self, **keywords: Any) -> Any:
        """Return the body as what its JSON says.

        Args:
            **keywords: for ``json.loads``.

        Raises:
            ValueError: it is no JSON.
        """
        return self._response.json(**keywords)

    def __repr__(self) -> str:
        kind = self.headers.get("content-type", "no content-type")
        return f"<WorkerResponse {self.status}, {len(self.bytes)} bytes, {kind}>"


class Worker:
    """A worker that runs. Made by ``run_worker()`` or the fixture ``worker``; its calls block until they are done.

    Args:
        hosted: the running worker.
        raise_exceptions: whether ``fetch()`` and ``scheduled()`` raise what the handler raises.
    """

    def __init__(self, hosted: HostedWorker, *, raise_exceptions: bool = True) -> None:
        self._hosted = hosted
        self._raise_exceptions = raise_exceptions
        self._url: str | None = None
        self._client: httpx.Client | None = None

    @property
    def env(self) -> Env:
        """The bindings, as handlers see them."""
        return self._hosted.env

    @property
    def config(self) -> WorkerConfig:
        """The configuration in force."""
        return self._hosted.config

    @property
    def handlers(self) -> tuple[str, ...]:
        """Of ``fetch``, ``scheduled``, ``connect``, ``asgi``, ``wsgi``: what the main module has."""
        return self._hosted.handlers

    @property
    def logs(self) -> list[WorkerLog]:
        """What the worker logged (``logging``, from INFO on) and what the runtime said about it.

        With a fixture of session scope: since the test began.
        """
        return self._hosted.reports.logs

    # -- handlers, in process ------------------------------------------------------------------------

    def fetch(
        self,
        resource: str = "/",
        *,
        method: str | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: str | bytes | None = None,
        json: Any = None,
        raise_exceptions: bool | None = None,
    ) -> WorkerResponse:
        """Call the ``fetch`` handler, or the application, without a connection in between.

        Args:
            resource: a path with or without query string, or a whole URL; the host of a path is ``localhost``.
            method: ``"GET"`` by default, ``"POST"`` when there is a body.
            headers: in the order they are sent.
            body: text is sent as UTF-8.
            json: sent as JSON, with its ``content-type``; instead of ``body``.
            raise_exceptions: False returns the answer with status 500 when the handler raises; None for what
                ``run_worker()`` was told.

        Raises:
            TypeError: ``body`` and ``json`` were both given.
            BaseException: what the handler raised, with its traceback.
        """
        __tracebackhide__ = True
        if body is not None and json is not None:
            raise TypeError("fetch() takes body or json, not both")
        method = method or ("GET" if body is None and json is None else "POST")
        content: dict[str, Any] = {"content": body} if json is None else {"json": json}
        request = httpx.Request(method, urljoin(BASE_URL, resource), headers=headers, **content)
        response, caught = self._hosted.exchange(request)
        if caught and (self._raise_exceptions if raise_exceptions is None else raise_exceptions):
            raise users_part(caught[0])
        return WorkerResponse(response)

    def scheduled(self, cron: str = "* * * * *", *, scheduled_time: datetime | None = None) -> None:
        """Call the ``scheduled`` handler, as if the time had come.

        Args:
            cron: the pattern that the handler is told.
            scheduled_time: when it was due; now by default.

        Raises:
            LookupError: there is no such handler.
            BaseException: what the handler raised, with its traceback.
        """
        __tracebackhide__ = True
        due_ms = now_ms() if scheduled_time is None else round(scheduled_time.timestamp() * 1000)
        caught = self._hosted.fire(cron, due_ms)
        if caught and self._raise_exceptions:
            raise users_part(caught[0])

    def wait_until_done(self, timeout_s: float = DONE_TIMEOUT_S) -> None:
        """Wait for everything that was given to ``wait_until()``, and raise what failed.

        Args:
            timeout_s: how long to wait.

        Raises:
            TimeoutError: something is not done in time; it goes on.
            BaseException: what the one task that failed raised; an exception group when several failed.
        """
        __tracebackhide__ = True
        if not self._hosted.wait_done(timeout_s):
            raise TimeoutError(
                f"wait_until() work or requests of worker {self.config.name!r} go on after {timeout_s} s"
            )
        failures = [users_part(failure) for failure in self._hosted.reports.take_late()]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup("work given to wait_until() failed", failures)

    @contextmanager
    def patch_env(self, values: Mapping[str, Any] | None = None, **keywords: Any) -> Iterator[None]:
        """Change bindings for a block: in ``self.env`` of handlers and in ``from workers import env``.

        Args:
            values: names and values; a database is given by its connection string.
            **keywords: more of them; they win.
        """
        databases = {each.binding for each in self.config.hyperdrive}
        changes = {**(values or {}), **keywords}
        for name in databases & set(changes):
            if isinstance(changes[name], str):
                changes[name] = Hyperdrive(changes[name], name=name)
        with override_env(self.env, changes):
            yield

    # -- real HTTP -----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the worker listens for real HTTP, as in production: ``http://127.0.0.1:<free port>``."""
        if self._url is None:
            self._url = f"http://127.0.0.1:{self._hosted.listen()}"
        return self._url

    @property
    def http(self) -> httpx.Client:
        """A client whose base URL is ``url``; a handler that raises is answered with status 500."""
        if self._client is None:
            self._client = httpx.Client(base_url=self.url, timeout=HTTP_TIMEOUT_S, trust_env=False)
        return self._client

    # -- the end ---------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """End a test: wait for what it started, and raise what nobody has seen."""
        __tracebackhide__ = True
        self.wait_until_done()

    def _forget(self) -> None:
        """Begin a test with empty hands."""
        self._hosted.reports.logs.clear()
        self._hosted.reports.take_late()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._hosted.close()

    def __repr__(self) -> str:
        return f"<Worker {self.config.name!r}: {', '.join(self.handlers)}>"


@contextmanager
def run_worker(
    path: str | Path = ".",
    *,
    environment: str | None = None,
    bindings: Mapping[str, Any] | None = None,
    raise_exceptions: bool = True,
    loop: str | None = None,
) -> Iterator[Worker]:
    """Run the worker of a project until the block is left.

    Leaving the block waits for ``wait_until()`` work, raises what failed in it, and ends every connection, task and
    thread of the worker.

    Args:
        path: the project's folder or its configuration file.
        environment: the ``env.<name>`` section to use; ``env.dev`` by default, if there is one.
        bindings: variables, secrets and databases (by their connection strings) that go before the file's.
        raise_exceptions: whether ``fetch()`` and ``scheduled()`` raise what the handler raises.
        loop: ``"uvloop"`` or ``"asyncio"``; by default uvloop where it is installed.

    Raises:
        ConfigError: the configuration is wrong.
        RuntimeError: another worker runs in this process.
        BaseException: what the main module raises while it is imported.
    """
    __tracebackhide__ = True
    hosted = HostedWorker(_configured(Path(path).absolute(), environment, bindings or {}), loop)
    hosted.boot()
    worker = Worker(hosted, raise_exceptions=raise_exceptions)
    try:
        yield worker
        worker._settle()
    finally:
        worker._close()


def _configured(path: Path, environment: str | None, bindings: Mapping[str, Any]) -> WorkerConfig:
    """Return the project's configuration as for ``longshore dev``, with these bindings."""
    databases = {f"LONGSHORE_HYPERDRIVE_{name}": value for name, value in bindings.items() if isinstance(value, str)}
    cwd = path if path.is_dir() else path.parent
    config = load_config(
        path,
        cwd=cwd,
        environment=environment,
        is_dev=True,
        variables={**os.environ, **databases},
        stored=stored_secret(os.environ),
    )
    left = {name: value for name, value in bindings.items() if all(name != each.binding for each in config.hyperdrive)}
    secrets = {name: left.pop(name) for name in config.secrets if name in left}
    return msgspec.structs.replace(config, vars={**config.vars, **left}, secrets={**config.secrets, **secrets})
