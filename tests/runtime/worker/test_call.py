"""Handlers of any arity, and how instances come to their ``ctx`` and ``env``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.runtime.worker.call import arity_of
from tests.runtime.worker.driver import call, make_app

if TYPE_CHECKING:
    from pathlib import Path

SHOW = """
def show(*args, **kwargs):
    given = [type(each).__name__ for each in (*args, *kwargs.values())]
    return Response(" ".join(given) or "nothing")
"""

SIGNATURES = {
    "": "nothing",
    "request": "Request",
    "request, env": "Request Env",
    "request, env, ctx": "Request Env Flight",
    "request, env, ctx, more=None": "Request Env Flight",
    "request, /, env": "Request Env",
    "*args": "Request Env Flight",
    "request, *args": "Request Env Flight",
    "request=None": "Request",
    "request, *, ctx": "Request Flight",
    "*, env, request": "Env Request",
    "request, *, env, other=1": "Request Env",
    "**kwargs": "nothing",
}


def forwarded(signature: str) -> str:
    """Return the arguments with which ``show`` is given what a handler of this signature was given."""
    names = [part.strip().partition("=")[0] for part in signature.split(",")]
    named = [name for name in names if name.strip("*/") and name not in ("more", "other")]
    return ", ".join(named)


@pytest.mark.parametrize(("signature", "given"), SIGNATURES.items())
@pytest.mark.parametrize("style", ["class", "module"])
@pytest.mark.parametrize("word", ["async def", "def"])
async def test_any_arity_of_fetch(tmp_path: Path, style: str, word: str, signature: str, given: str) -> None:
    head = f"from longshore.workers import *\n{SHOW}\n"
    if style == "class":
        source = (
            f"class Default(WorkerEntrypoint):\n  {word} fetch(self, {signature}): return show({forwarded(signature)})"
        )
    else:
        source = f"{word} on_fetch({signature}): return show({forwarded(signature)})"
    app, _ = make_app(tmp_path, head + source)
    assert (await call(app)).text == given


async def test_signature_of_a_decorated_handler_is_that_of_the_function_below(tmp_path: Path) -> None:
    source = """
import functools
from longshore.workers import *

def traced(function):
    @functools.wraps(function)
    async def wrapper(*args): return await function(*args)
    return wrapper

class Default(WorkerEntrypoint):
    @traced
    async def fetch(self, request): return Response(request.method)
"""
    app, _ = make_app(tmp_path, source)
    assert (await call(app)).text == "GET"


CONSTRUCTORS = {
    "none": "",
    "usual": "  def __init__(self, ctx, env):\n    self.x = env.X\n",
    "super": "  def __init__(self, ctx, env):\n    super().__init__(ctx, env)\n    self.x = self.env.X\n",
    "without arguments": "  def __init__(self):\n    self.x = self.env.X\n",
    "one argument": "  def __init__(self, ctx):\n    ctx.method\n",
    "by name": "  def __init__(self, *, env):\n    self.x = env.X\n",
    "all": "  def __init__(self, *args):\n    self.x = args[1].X\n",
    "new": "  def __new__(cls, ctx, env):\n    return super().__new__(cls, ctx, env)\n",
}


@pytest.mark.parametrize("constructor", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
async def test_ctx_and_env_are_there_whatever_init_does(tmp_path: Path, constructor: str) -> None:
    source = (
        f"from longshore.workers import *\nclass Default(WorkerEntrypoint):\n{constructor}"
        "  async def fetch(self): return Response(self.env.X + ' ' + self.ctx.method)"
    )
    app, _ = make_app(tmp_path, source, env={"X": "x"})
    assert (await call(app)).text == "x GET"


async def test_instance_is_made_for_each_request(tmp_path: Path) -> None:
    source = """
from longshore.workers import *
class Default(WorkerEntrypoint):
    count = 0
    async def fetch(self):
        self.count += 1
        return Response(str(self.count))
"""
    app, _ = make_app(tmp_path, source)
    assert [(await call(app)).text for _ in range(2)] == ["1", "1"]


async def test_globals_live_as_long_as_the_worker(tmp_path: Path) -> None:
    source = "from longshore.workers import *\nn = []\ndef on_fetch(): n.append(1); return Response(str(len(n)))"
    app, _ = make_app(tmp_path, source)
    assert [(await call(app)).text for _ in range(3)] == ["1", "2", "3"]


def test_init_that_requires_too_much(tmp_path: Path) -> None:
    source = (
        "from longshore.workers import *\nclass Default(WorkerEntrypoint):\n"
        "  def __init__(self, ctx, env, db): ...\n  def fetch(self): ..."
    )
    with pytest.raises(TypeError, match=r"Default.__init__ requires db, but a handler is given ctx, env at most"):
        make_app(tmp_path, source)


def test_keyword_only_parameter_that_nobody_offers() -> None:
    def handler(request: object, *, database: object) -> None: ...

    with pytest.raises(TypeError, match="requires database"):
        arity_of(handler, ("request", "env", "ctx"), "on_fetch()")


def test_builtin_without_a_signature_is_given_everything() -> None:
    assert arity_of(max, ("a", "b"), "x").count == 2
