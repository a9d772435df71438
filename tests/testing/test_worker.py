"""``run_worker()``: a worker in this process, called from a test that is not async."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from longshore.testing.worker import run_worker
from tests.testing.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

ECHO = """
    import json
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            seen = {
                "method": str(request.method),
                "url": request.url,
                "type": request.headers.get("content-type"),
                "tags": request.headers.get("x-tag"),
                "body": await request.text(),
            }
            return Response.json(seen, headers={"x-served-by": "shop"})
"""

FAILING = """
    import asyncio
    from workers import Response, WorkerEntrypoint

    gate = asyncio.Event()

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.path == "/late":
                self.ctx.wait_until(fail("late"))
                return Response("soon")
            if request.path == "/slow":
                self.ctx.wait_until(gate.wait())
                return Response("soon")
            if request.path == "/go":
                gate.set()
                return Response("now")
            return await fail(request.path)

        async def scheduled(self, controller):
            await fail(controller.cron)

    async def fail(text):
        await asyncio.sleep(0)
        raise ValueError(text)
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A project whose worker tells what it was asked."""
    return write_project(tmp_path, ECHO)


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A project whose worker fails in every way."""
    return write_project(tmp_path, FAILING, "[serve]\ndrain_timeout_s = 1\n")


# -- fetch() ---------------------------------------------------------------------------------------


def test_fetch_asks_for_a_path(echo: Path) -> None:
    with run_worker(echo) as worker:
        response = worker.fetch("/a/b?c=d")
    assert response.json() == {
        "method": "GET",
        "url": "http://localhost/a/b?c=d",
        "type": None,
        "tags": None,
        "body": "",
    }
    assert (response.status, response.ok, response.headers["X-Served-By"]) == (200, True, "shop")
    assert response.bytes.decode() == response.text
    assert repr(response) == f"<WorkerResponse 200, {len(response.bytes)} bytes, application/json>"


def test_fetch_asks_for_a_url(echo: Path) -> None:
    with run_worker(echo) as worker:
        assert worker.fetch("https://shop.example:8443/x").json()["url"] == "https://shop.example:8443/x"


@pytest.mark.parametrize("body", ["Grüße", "Grüße".encode()], ids=["text", "bytes"])
def test_fetch_sends_a_body(echo: Path, body: str | bytes) -> None:
    with run_worker(echo) as worker:
        seen = worker.fetch("/", body=body, headers=[("x-tag", "1"), ("x-tag", "2")]).json()
        assert (seen["method"], seen["body"], seen["tags"]) == ("POST", "Grüße", "1, 2")
        assert worker.fetch("/", method="PUT", body=body).json()["method"] == "PUT"


def test_fetch_sends_json(echo: Path) -> None:
    with run_worker(echo) as worker:
        seen = worker.fetch("/", json={"a": [1, None]}).json()
        assert (seen["method"], seen["type"], seen["body"]) == ("POST", "application/json", '{"a":[1,null]}')
        with pytest.raises(TypeError, match="body or json, not both"):
            worker.fetch("/", json={}, body="")


def test_fetch_raises_what_the_handler_raises_from_where_it_was_raised(failing: Path) -> None:
    with run_worker(failing) as worker, pytest.raises(ValueError, match=r"^/x$") as caught:
        worker.fetch("/x")
    frames = [(frame.filename, frame.name) for frame in traceback.extract_tb(caught.tb)]
    entry = str(failing / "src" / "entry.py")
    assert [name for _, name in frames[-2:]] == ["fetch", "fail"]
    assert [file for file, _ in frames] == [__file__, frames[1][0], entry, entry]
    assert frames[1][1] == "fetch"  # Worker's own, which pytest hides


def test_fetch_returns_the_answer_to_a_failure_when_it_is_told_to(failing: Path) -> None:
    with run_worker(failing, raise_exceptions=False) as worker:
        response = worker.fetch("/x")
        assert (response.status, response.ok) == (500, False)
        assert "ValueError: /x" in response.text
        with pytest.raises(ValueError, match="/x"):
            worker.fetch("/x", raise_exceptions=True)
    with run_worker(failing) as worker:
        assert worker.fetch("/x", raise_exceptions=False).status == 500


def test_a_worker_that_calls_itself_is_told_so(tmp_path: Path) -> None:
    project = write_project(
        tmp_path,
        """
        from workers import Response, WorkerEntrypoint
        ask = None
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                ask("/")
        """,
    )
    with run_worker(project) as worker:
        import entry  # type: ignore[import-not-found] # noqa: PLC0415 - of the project

        entry.ask = worker.fetch
        with pytest.raises(RuntimeError, match="in the worker's own thread"):
            worker.fetch("/")


# -- scheduled() -----------------------------------------------------------------------------------


def test_scheduled_calls_the_handler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = """
        from workers import WorkerEntrypoint
        class Default(WorkerEntrypoint):
            async def scheduled(self, controller, env, ctx):
                print(controller.cron, controller.scheduledTime)
    """
    with run_worker(write_project(tmp_path, source)) as worker:
        worker.scheduled("0 6 * * *", scheduled_time=datetime(2026, 1, 2, tzinfo=UTC))
        worker.scheduled()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 6 * * * 1767312000000"
    assert lines[1].startswith("* * * * * ")


def test_scheduled_raises_what_the_handler_raises(failing: Path) -> None:
    with run_worker(failing) as worker, pytest.raises(ValueError, match="0 6"):
        worker.scheduled("0 6 * * *")
    with run_worker(failing, raise_exceptions=False) as worker:
        worker.scheduled("0 6 * * *")
        assert "scheduled failed in cron 0 6 * * *" in worker.logs[0].text


def test_scheduled_says_that_there_is_no_handler(echo: Path) -> None:
    with run_worker(echo) as worker, pytest.raises(LookupError, match='a handler named "scheduled"'):
        worker.scheduled()


# -- wait_until() ----------------------------------------------------------------------------------


def test_wait_until_done_raises_what_failed_once(failing: Path) -> None:
    with run_worker(failing) as worker:
        assert worker.fetch("/late").text == "soon"
        with pytest.raises(ValueError, match="late"):
            worker.wait_until_done()
        worker.wait_until_done()


def test_wait_until_done_raises_all_that_failed(failing: Path) -> None:
    with run_worker(failing) as worker:
        worker.fetch("/late")
        worker.http.get("/late")
        with pytest.raises(BaseExceptionGroup) as caught:
            worker.wait_until_done()
    assert [str(exc) for exc in caught.value.exceptions] == ["late", "late"]


def test_wait_until_done_does_not_wait_forever(failing: Path) -> None:
    with run_worker(failing) as worker:
        worker.fetch("/slow")
        with pytest.raises(TimeoutError, match=r"worker 'shop' go on after 0\.01 s"):
            worker.wait_until_done(0.01)
        worker.fetch("/go")


def test_what_failed_unseen_is_raised_at_the_end(failing: Path) -> None:
    with pytest.raises(ValueError, match="late"), run_worker(failing) as worker:
        worker.fetch("/late")


def test_what_failed_unseen_does_not_hide_the_failure_of_the_test(failing: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_inside(failing)


def fail_inside(project: Path) -> None:
    with run_worker(project) as worker:
        worker.fetch("/late")
        _ = 1 / 0


# -- env -------------------------------------------------------------------------------------------

SHOWS_ENV = """
    from workers import Response, WorkerEntrypoint, env

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            user = self.env.DB.user
            return Response(f"{self.env.NAME} {env.NAME} {env['KEY']} {user}")
"""
BINDINGS = """
    [vars]
    NAME = "file"
    [[hyperdrive]]
    binding = "DB"
"""


@pytest.fixture
def shows_env(tmp_path: Path) -> Path:
    """A project with a variable, a secret and a database that has no connection string of its own."""
    project = write_project(tmp_path, SHOWS_ENV, BINDINGS)
    (project / ".dev.vars").write_text("KEY=secret\n", encoding="utf-8")
    return project


def test_bindings_go_before_the_file(shows_env: Path) -> None:
    with run_worker(shows_env, bindings={"DB": "postgres://ann:x@db/shop"}) as worker:
        assert worker.fetch("/").text == "file file secret ann"
        assert (worker.env.NAME, worker.env.DB.database) == ("file", "shop")
    with run_worker(shows_env, bindings={"DB": "postgres://bob:x@db/shop", "KEY": "test", "NAME": 1}) as worker:
        assert worker.fetch("/").text == "1 1 test bob"
        assert "KEY=(hidden)" in repr(worker.env)


def test_patch_env_holds_for_the_block_however_the_worker_is_asked(shows_env: Path) -> None:
    with run_worker(shows_env, bindings={"DB": "postgres://ann:x@db/shop"}) as worker:
        with worker.patch_env({"NAME": "one"}, KEY="k", DB="postgres://eve:x@db/shop"):
            assert worker.fetch("/").text == "one one k eve"
            assert worker.http.get("/").text == "one one k eve"
            with worker.patch_env(NAME="two"):
                assert worker.http.get("/").text == "two two k eve"
            assert worker.http.get("/").text == "one one k eve"
        assert worker.http.get("/").text == "file file secret ann"


def test_patch_env_of_workers_holds_for_calls_of_the_test(shows_env: Path) -> None:
    with run_worker(shows_env, bindings={"DB": "postgres://ann:x@db/shop"}) as worker:
        from workers import patch_env  # noqa: PLC0415 - there while a worker runs

        with patch_env(NAME="test"):
            assert worker.fetch("/").text == "test test secret ann"
        assert worker.fetch("/").text == "file file secret ann"


def test_an_environment_can_be_chosen(tmp_path: Path) -> None:
    project = write_project(tmp_path, SHOWS_ENV, '[vars]\nNAME = "top"\n[env.staging.vars]\nNAME = "staging"\n')
    with run_worker(project, environment="staging") as worker:
        assert (worker.config.environment, worker.env.NAME) == ("staging", "staging")


# -- logs ------------------------------------------------------------------------------------------


def test_logs_have_what_the_worker_logs_and_how_it_fails(tmp_path: Path) -> None:
    source = """
        import asyncio, logging
        from workers import Response, WorkerEntrypoint
        log = logging.getLogger("shop")

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                log.debug("not this")
                log.info("asked for %s", request.path)
                await asyncio.to_thread(log.warning, "from a thread")
                raise OSError("no")
    """
    root_level = logging.getLogger().level
    with run_worker(write_project(tmp_path, source), raise_exceptions=False) as worker:
        logging.getLogger("test").error("not the worker's")
        worker.fetch("/x")
        info, warning, error = worker.logs
    assert (info.level, info.text, info.logger) == ("info", "asked for /x", "shop")
    assert (str(warning), warning.request_id) == ("warning: from a thread", info.request_id)
    assert error.text.startswith("fetch failed in GET /x\nTraceback (most recent call last):\n")
    assert error.text.endswith("OSError: no\n")
    assert (error.logger, error.request_id) == ("", info.request_id)
    assert logging.getLogger().level == root_level


# -- real HTTP -------------------------------------------------------------------------------------


def test_http_is_real_and_answers_failures_with_500(failing: Path) -> None:
    with run_worker(failing) as worker:
        assert worker.url.startswith("http://127.0.0.1:")
        response = worker.http.get("/x")
        assert (response.status_code, str(response.url)) == (500, f"{worker.url}/x")
        assert response.headers["date"]
        assert "ValueError: /x" in response.text


def test_http_streams(tmp_path: Path) -> None:
    source = """
        from workers import Response, WorkerEntrypoint
        async def numbers():
            for number in range(3):
                yield f"{number}\\n".encode()
        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return Response(numbers())
    """
    with run_worker(write_project(tmp_path, source)) as worker:
        with worker.http.stream("GET", "/") as response:
            assert response.headers["transfer-encoding"] == "chunked"
            assert list(response.iter_lines()) == ["0", "1", "2"]
        assert worker.fetch("/").text == "0\n1\n2\n"


# -- applications ----------------------------------------------------------------------------------


def test_the_lifespan_of_an_application_runs_once_and_its_state_is_seen_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """
        from contextlib import asynccontextmanager
        from fastapi import FastAPI, Request

        @asynccontextmanager
        async def lifespan(app):
            print("startup")
            yield {"greeting": "hello"}
            print("shutdown")

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        async def home(request: Request):
            return {"greeting": request.state.greeting, "name": request.scope["env"].NAME}
    """
    with run_worker(write_project(tmp_path, source, '[vars]\nNAME = "Ann"\n')) as worker:
        assert worker.handlers == ("asgi",)
        assert worker.fetch("/").json() == worker.http.get("/").json() == {"greeting": "hello", "name": "Ann"}
    assert capsys.readouterr().out == "startup\nshutdown\n"


def test_the_exception_of_an_application_is_raised_too(tmp_path: Path) -> None:
    source = """
        from fastapi import FastAPI
        app = FastAPI()
        @app.get("/")
        async def home():
            raise LookupError("nothing here")
    """
    with run_worker(write_project(tmp_path, source)) as worker, pytest.raises(LookupError, match="nothing here"):
        worker.fetch("/")
