"""Tells an ASGI application from a WSGI application, without importing any framework.

ASGI 3 is a coroutine function of three arguments, WSGI a function of two; something that can be called without
arguments is a factory of either.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

__all__ = ["Application", "find_application", "looks_like_application"]

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Application:
    """An application, and what it was before it was wrapped."""

    kind: str
    """``"asgi"`` or ``"wsgi"``."""
    asgi: Any
    """The ASGI application."""


def looks_like_application(value: Any) -> bool:
    """Return whether ``value`` is an application itself: a factory is only called when it is named."""
    return callable(value) and not inspect.isclass(value) and _kind(value) in ("asgi", "wsgi")


def find_application(value: Any, title: str) -> Application:
    """Return the application that ``value`` is, or makes.

    Args:
        value: an application or a factory.
        title: what it is called in an error.

    Raises:
        TypeError: it is neither.
    """
    if not callable(value):
        raise TypeError(f"{title} is a {type(value).__name__}: it must be an ASGI or WSGI application")
    kind = _kind(value)
    if kind == "factory":
        value, title = value(), f"{title}, called as a factory,"
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(f"{title} returned a coroutine: a factory must not be async")
        if not callable(value):
            raise TypeError(f"{title} returned a {type(value).__name__}: it must be an ASGI or WSGI application")
        kind = _kind(value)
    if kind == "asgi":
        return Application("asgi", value)
    if kind == "wsgi":
        from longshore.workers.wsgi import as_asgi  # noqa: PLC0415 - a2wsgi only for who has such an application

        return Application("wsgi", as_asgi(value))
    raise TypeError(
        f"{title} cannot be told from its signature to be an ASGI application (async, scope, receive, send) or a WSGI "
        "application (environ, start_response): write Default = asgi.entrypoint(app) or Default = wsgi.entrypoint(app)"
    )


def _kind(value: Any) -> str:
    """Return ``"asgi"``, ``"wsgi"``, ``"factory"`` or ``""``."""
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return ""
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return ""
    places = [each for each in parameters if each.kind in POSITIONAL]
    required = sum(each.default is inspect.Parameter.empty for each in places)
    if required <= 3 <= len(places) and (_is_async(value) or required == 3):
        return "asgi"
    if inspect.isclass(value):
        return "factory" if required == 0 else ""
    if required == 2:
        return "wsgi"
    return "factory" if required == 0 else ""


def _is_async(value: Any) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None))  # noqa: B004 - is it async?
