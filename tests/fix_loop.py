"""Runs ``async def`` tests: each once per loop, in a fresh loop that is watched for leftovers.

The fixture ``loop_name`` is ``"asyncio"`` or ``"uvloop"``; a plain test that asks for it is run twice too,
and can run coroutines with ``run_in_loop(function)``. ``@given`` around an ``async def`` gets a fresh loop
per example.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from tests.loops import LOOP_NAMES, run_checked
from tests.system import is_ci

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    Body = Callable[[], Awaitable[None]]

__all__ = ["run_in_loop"]


def inner_test(function: Any) -> Any:
    """Return the function below Hypothesis's wrapper, or the function itself."""
    hypothesis_handle = getattr(function, "hypothesis", None)
    return getattr(hypothesis_handle, "inner_test", function)


@pytest.fixture(scope="module", autouse=True)
def _short_heap() -> None:
    """Hide what is loaded by now from the garbage collector, which every test asks to look for leftovers.

    For each module anew: Django, SQLAlchemy and others come with the first test that needs them, and Hypothesis asks
    the collector once for each example.
    """
    gc.collect()
    gc.freeze()


def wanted_loops(metafunc: pytest.Metafunc) -> list[str]:
    """Return the loops a test runs on: those of its ``one_loop`` marker, or both."""
    marker = metafunc.definition.get_closest_marker("one_loop")
    if marker is None:
        return list(LOOP_NAMES)
    (name,) = marker.args
    if name not in LOOP_NAMES:
        raise pytest.UsageError(f"one_loop({name!r}) in {metafunc.definition.nodeid}; known are {LOOP_NAMES}")
    return [name]


def loop_parameter(name: str) -> Any:
    """Return the pytest parameter of a loop; a loop that is not installed is skipped, but not in CI."""
    absent = name == "uvloop" and importlib.util.find_spec("uvloop") is None
    marks = [pytest.mark.skip(reason="uvloop is not installed")] if absent and not is_ci() else []
    return pytest.param(name, id=name, marks=marks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every async test the parameter ``loop_name``."""
    is_async = inspect.iscoroutinefunction(inner_test(metafunc.function))
    if is_async and "loop_name" not in metafunc.fixturenames:
        metafunc.fixturenames.append("loop_name")
    if "loop_name" in metafunc.fixturenames:
        metafunc.parametrize("loop_name", [loop_parameter(name) for name in wanted_loops(metafunc)])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let pytest see an async test as a plain one that runs in its loop."""
    function = pyfuncitem.obj
    inner = inner_test(function)
    if not inspect.iscoroutinefunction(inner):
        return (yield)
    name = str(pyfuncitem.callspec.params["loop_name"])
    run = functools.partial(run_checked, name, limit_s=limit_s(pyfuncitem))
    # The wrapper of @given belongs to both loops' items: it is given back as it was.
    holder, attribute = (pyfuncitem, "obj") if inner is function else (function.hypothesis, "inner_test")
    setattr(holder, attribute, synchronous(inner, run))
    try:
        return (yield)
    finally:
        setattr(holder, attribute, inner)


def limit_s(item: pytest.Function) -> float:
    """Return how long the test may take in its loop: a little less than pytest-timeout grants."""
    marker = item.get_closest_marker("timeout")
    granted = marker.args[0] if marker is not None and marker.args else item.config.getini("timeout")
    return 0.8 * float(granted)


def synchronous(function: Callable[..., Awaitable[None]], run: Callable[[Body], None]) -> Callable[..., None]:
    """Return a plain function that gives the coroutine function to ``run``."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> None:
        run(lambda: function(*args, **kwargs))

    return call


@pytest.fixture
def run_in_loop(loop_name: str) -> Callable[[Body], None]:
    """Run a coroutine function in a fresh, watched loop, from a plain test."""
    return functools.partial(run_checked, loop_name)
