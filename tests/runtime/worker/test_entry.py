"""What a main module may export, and what is said when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.runtime.worker.entry import find_entry, missing_handler
from tests.runtime.worker.driver import call, make_app, make_module

if TYPE_CHECKING:
    from pathlib import Path

CLASS = "from longshore.workers import *\n"
ASGI = "async def app(scope, receive, send): pass\n"
WSGI = "def app(environ, start_response): return []\n"


def test_class_style(tmp_path: Path) -> None:
    entry = find_entry(make_module(tmp_path, CLASS + "class Default(WorkerEntrypoint):\n  async def fetch(self): ..."))
    assert entry.handlers == ("fetch",)
    assert entry.is_class
    assert entry.name == "entry.py"
    assert entry.where.endswith("entry.py:3")


def test_class_style_with_inherited_handlers(tmp_path: Path) -> None:
    source = CLASS + (
        "class Base(WorkerEntrypoint):\n  async def scheduled(self): ...\n"
        "class Default(Base):\n  @staticmethod\n  async def fetch(request): ...\n"
    )
    assert find_entry(make_module(tmp_path, source)).handlers == ("fetch", "scheduled")


def test_module_style(tmp_path: Path) -> None:
    source = "async def on_fetch(request): ...\nasync def on_scheduled(c): ...\nasync def on_connect(socket): ...\n"
    entry = find_entry(make_module(tmp_path, source))
    assert entry.handlers == ("fetch", "scheduled", "connect")
    assert not entry.is_class


def test_module_without_a_handler(tmp_path: Path) -> None:
    with pytest.raises(LookupError) as caught:
        find_entry(make_module(tmp_path, "x = 1"))
    assert str(caught.value) == 'Python entrypoint "entry.py" does not export a handler named "on_fetch"'
    assert "class Default(WorkerEntrypoint)" in caught.value.__notes__[0]


def test_class_without_a_handler(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r'"entry.py" does not export a handler named "fetch"') as caught:
        find_entry(make_module(tmp_path, CLASS + "class Default(WorkerEntrypoint): pass"))
    assert caught.value.__notes__ == ["add async def fetch(self, request) to class Default"]


def test_both_styles(tmp_path: Path) -> None:
    source = CLASS + "class Default(WorkerEntrypoint):\n  def fetch(self): ...\ndef on_fetch(request): ..."
    with pytest.raises(TypeError) as caught:
        find_entry(make_module(tmp_path, source))
    assert str(caught.value) == "Cannot define multiple default entrypoints"
    assert caught.value.__notes__ == ['"entry.py" has class Default and on_fetch: keep one style']


def test_default_without_the_base_class(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"class Default in \"entry.py\" does not derive from WorkerEntrypoint"):
        find_entry(make_module(tmp_path, "class Default:\n  def fetch(self): ..."))


def test_default_that_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r'Default in "entry.py" is a int: it must be a class'):
        find_entry(make_module(tmp_path, "Default = 1"))


@pytest.mark.parametrize(("base", "thing"), [("DurableObject", "Durable Objects"), ("WorkflowEntrypoint", "Workflows")])
def test_what_the_runtime_does_not_provide(tmp_path: Path, base: str, thing: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"class Default derives from {base}.*does not provide {thing}"):
        find_entry(make_module(tmp_path, CLASS + f"class Default({base}):\n  def fetch(self): ..."))


def test_class_with_another_name_is_pointed_out(tmp_path: Path) -> None:
    with pytest.raises(LookupError) as caught:
        find_entry(make_module(tmp_path, CLASS + "class Main(WorkerEntrypoint):\n  def fetch(self): ..."))
    assert "class Main is a named entrypoint: the one that answers requests is called Default" in caught.value.__notes__


def test_durable_object_beside_a_default_is_let_be(tmp_path: Path) -> None:
    source = CLASS + "class Room(DurableObject): pass\nclass Default(WorkerEntrypoint):\n  def fetch(self): ..."
    assert find_entry(make_module(tmp_path, source)).handlers == ("fetch",)


def test_handler_that_requires_too_much(tmp_path: Path) -> None:
    source = CLASS + "class Default(WorkerEntrypoint):\n  def fetch(self, request, env, ctx, db): ..."
    with pytest.raises(TypeError, match=r"Default.fetch\(\) requires db, but a handler is given request, env, ctx"):
        find_entry(make_module(tmp_path, source))


@pytest.mark.parametrize("name", ["app", "application"])
@pytest.mark.parametrize(("source", "kind"), [(ASGI, "asgi"), (WSGI, "wsgi")])
def test_application_is_found_by_its_usual_name(tmp_path: Path, name: str, source: str, kind: str) -> None:
    assert find_entry(make_module(tmp_path, source.replace("app(", f"{name}("))).handlers == (kind,)


APPLICATIONS = {
    "function": (ASGI, "app", "asgi"),
    "object": ("class App:\n  async def __call__(self, scope, receive, send): ...\nmain = App()", "main", "asgi"),
    "future": ("class App:\n  def __call__(self, scope, receive, send): ...\nmain = App()", "main", "asgi"),
    "wsgi object": ("class App:\n  def __call__(self, environ, start_response): ...\nmain = App()", "main", "wsgi"),
    "attribute": ("class Holder:\n  @staticmethod\n  async def run(scope, receive, send): ...", "Holder.run", "asgi"),
    "factory": (f"def create(debug=False):\n  {ASGI}  return app", "create", "asgi"),
    "factory, called": (f"def create():\n  {WSGI}  return app", "create()", "wsgi"),
    "fastapi": ("import fastapi\napi = fastapi.FastAPI()", "api", "asgi"),
    "flask": ("import flask\nsite = flask.Flask('x')", "site", "wsgi"),
    "django asgi": ("from django.core.handlers.asgi import ASGIHandler as H\nx = H.__new__(H)", "x", "asgi"),
    "django wsgi": ("from django.core.handlers.wsgi import WSGIHandler as H\nx = H.__new__(H)", "x", "wsgi"),
    "entrypoint": (CLASS + "class Api(WorkerEntrypoint):\n  def fetch(self): ...", "Api", "fetch"),
    "asgi.entrypoint": (ASGI + "from longshore.workers import asgi\nDefault = asgi.entrypoint(app)", None, "asgi"),
    "wsgi.entrypoint": (WSGI + "from longshore.workers import wsgi\nDefault = wsgi.entrypoint(app)", None, "wsgi"),
}


@pytest.mark.parametrize(("source", "attribute", "kind"), APPLICATIONS.values(), ids=APPLICATIONS)
def test_application_by_name(tmp_path: Path, source: str, attribute: str | None, kind: str) -> None:
    assert find_entry(make_module(tmp_path, source), attribute).handlers == (kind,)


MISTAKES = {
    "missing": ("application = 1", "aplication", "has no attribute 'aplication'.*did you mean 'application'"),
    "no callable": ("app = 1", "app", "app in entry.py is a int: it must be an ASGI or WSGI application"),
    "asgi 2": ("def app(scope): ...", "app", "cannot be told from its signature"),
    "anything": ("def app(*args): ...", "app", r"write Default = asgi.entrypoint\(app\)"),
    "async factory": ("async def app(): ...", "app", "a factory must not be async"),
    "empty factory": ("def app(): ...", "app", "called as a factory, returned a NoneType"),
}


@pytest.mark.parametrize(("source", "attribute", "text"), MISTAKES.values(), ids=MISTAKES)
def test_application_that_is_none(tmp_path: Path, source: str, attribute: str, text: str) -> None:
    with pytest.raises((TypeError, LookupError), match=text):
        find_entry(make_module(tmp_path, source), attribute)


def test_factories_are_called_only_when_named(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="does not export"):
        find_entry(make_module(tmp_path, "def app(): raise AssertionError"))


def test_missing_handler_says_what_to_add(tmp_path: Path) -> None:
    entry = find_entry(make_module(tmp_path, "def on_fetch(): ..."))
    error = missing_handler(entry, "scheduled")
    assert str(error) == 'Python entrypoint "entry.py" does not export a handler named "on_scheduled"'


SCHEDULED = {
    "class": (
        ASGI + CLASS + "from longshore.workers import asgi\nclass Default(asgi.entrypoint(app)):\n"
        "  async def scheduled(self): ...\n",
        None,
    ),
    "beside": (ASGI + "async def on_scheduled(): ...\n", None),
    "beside, named": (ASGI + "async def on_scheduled(): ...\n", "app"),
}


@pytest.mark.parametrize(("source", "attribute"), SCHEDULED.values(), ids=SCHEDULED)
async def test_application_with_a_scheduled_handler(tmp_path: Path, source: str, attribute: str | None) -> None:
    app, recorder = make_app(tmp_path, source, attribute=attribute)
    assert app.handlers == ("asgi", "scheduled")
    await app.scheduled("* * * * *", 0)
    assert recorder.failures == []


def test_on_fetch_comes_before_an_application(tmp_path: Path) -> None:
    assert find_entry(make_module(tmp_path, ASGI + "def on_fetch(): ...")).handlers == ("fetch",)


async def test_entrypoint_of_an_overridden_fetch_is_not_bypassed(tmp_path: Path) -> None:
    source = (
        f"{ASGI}from longshore.workers import Response, asgi\nclass Default(asgi.entrypoint(app)):\n"
        "  async def fetch(self, request): return Response('mine')"
    )
    app, _ = make_app(tmp_path, source)
    assert (await call(app)).text == "mine"
