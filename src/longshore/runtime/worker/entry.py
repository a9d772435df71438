"""Finds what a main module exports: class style, module style, or an ASGI or WSGI application.

Everything that can be wrong with it is said when the worker boots, in the words of Cloudflare's runtime where it has
some (``Python entrypoint "x.py" does not export a handler named "on_fetch"``).
"""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from longshore.runtime.worker.application import find_application, looks_like_application
from longshore.runtime.worker.call import arity_of, class_caller, function_caller
from longshore.workers._entrypoint import DurableObject, WorkerEntrypoint, WorkflowEntrypoint, refusal

if TYPE_CHECKING:
    from types import ModuleType

    from longshore.runtime.worker.call import Invoke

__all__ = ["Entry", "find_entry", "missing_handler"]

EVENTS = ("fetch", "scheduled", "connect")
OFFERED = {
    "fetch": ("request", "env", "ctx"),
    "scheduled": ("controller", "env", "ctx"),
    "connect": ("socket", "env", "ctx"),
}
APPLICATION_NAMES = ("app", "application", "asgi", "wsgi")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a worker runs."""

    name: str
    """Of the main module, as messages show it: ``entry.py``."""
    handlers: tuple[str, ...]
    """Of ``fetch``, ``scheduled``, ``connect``, ``asgi``, ``wsgi``."""
    fetch: Invoke | None = None
    """``fetch(request, env, ctx)`` calls the handler, which may return an awaitable."""
    scheduled: Invoke | None = None
    """``scheduled(controller, env, ctx)``, likewise."""
    application: Any = None
    """The ASGI application that gets the requests instead; a WSGI application is wrapped into one."""
    is_class: bool = False
    """True for class style."""
    where: str = ""
    """Where the ``fetch`` handler or the application is defined, for notes on errors."""


def find_entry(module: ModuleType, attribute: str | None = None) -> Entry:
    """Return what ``module`` exports.

    Args:
        module: the imported main module.
        attribute: what comes behind the colon in ``main = "module:attribute"``; dots and a trailing ``()`` are
            understood.

    Raises:
        LookupError: it exports nothing to run.
        TypeError: it exports two things, or something that cannot be run.
        NotImplementedError: it exports something that this runtime does not provide.
    """
    name = PurePath(getattr(module, "__file__", None) or f"{module.__name__}.py").name
    if attribute is not None:
        return _named(module, attribute, name)
    default = getattr(module, "Default", None)
    functions = _functions(module)
    if default is not None:
        if functions:
            raise _two_entrypoints(name, functions)
        return _class_style(default, name)
    if "fetch" not in functions:
        for each in APPLICATION_NAMES:
            value = getattr(module, each, None)
            if value is not None and looks_like_application(value):
                return _application(value, f"{each} in {name}", name, functions)
    if functions:
        return _module_style(functions, name)
    raise _nothing_there(module, name)


def missing_handler(entry: Entry, event: str) -> LookupError:
    """Return the error for an event that the worker has no handler for."""
    return _missing(entry.name, event if entry.is_class else f"on_{event}", event)


# -- class style ----------------------------------------------------------------------------------


def _class_style(cls: Any, name: str) -> Entry:
    _check_class(cls, name)
    bare = cls.__new__(cls, None, None)
    found = {event: getattr(bare, event) for event in EVENTS if callable(getattr(bare, event, None))}
    if not found:
        raise _missing(name, "fetch", "fetch")
    callers = {}
    for event, method in found.items():
        arity = arity_of(method, OFFERED[event], f"{cls.__name__}.{event}()")
        callers[event] = class_caller(cls, event, arity)
    application = getattr(found.get("fetch"), "application", None)
    if application is not None:  # it was made by asgi.entrypoint() or wsgi.entrypoint()
        del callers["fetch"]
        return _hosting(application, f"the entrypoint in {name}", name, callers, is_class=True)
    return _entry(name, callers, is_class=True, where=_where(found.get("fetch")))


def _check_class(cls: Any, name: str) -> None:
    if not inspect.isclass(cls):
        raise TypeError(f'Default in "{name}" is a {type(cls).__name__}: it must be a class, Default(WorkerEntrypoint)')
    for base in (DurableObject, WorkflowEntrypoint):
        if issubclass(cls, base):
            raise NotImplementedError(refusal(cls, base))
    if not issubclass(cls, WorkerEntrypoint):
        raise TypeError(
            f'class {cls.__name__} in "{name}" does not derive from WorkerEntrypoint: '
            f"write class {cls.__name__}(WorkerEntrypoint), with from workers import WorkerEntrypoint"
        )


# -- module style ---------------------------------------------------------------------------------


def _functions(module: ModuleType) -> dict[str, Any]:
    found = {event: getattr(module, f"on_{event}", None) for event in EVENTS}
    return {event: function for event, function in found.items() if callable(function)}


def _module_style(functions: dict[str, Any], name: str) -> Entry:
    return _entry(name, _callers(functions), is_class=False, where=_where(functions.get("fetch")))


def _callers(functions: dict[str, Any]) -> dict[str, Invoke]:
    return {
        event: function_caller(function, arity_of(function, OFFERED[event], f"on_{event}()"))
        for event, function in functions.items()
    }


def _entry(name: str, callers: dict[str, Invoke], *, is_class: bool, where: str) -> Entry:
    return Entry(
        name=name,
        handlers=tuple(callers),
        fetch=callers.get("fetch"),
        scheduled=callers.get("scheduled"),
        is_class=is_class,
        where=where,
    )


# -- applications ---------------------------------------------------------------------------------


def _named(module: ModuleType, attribute: str, name: str) -> Entry:
    value: Any = module
    for part in attribute.removesuffix("()").split("."):
        if not hasattr(value, part):
            raise _no_attribute(value, part, attribute, name)
        value = getattr(value, part)
    is_entrypoint = inspect.isclass(value) and issubclass(value, (WorkerEntrypoint, DurableObject, WorkflowEntrypoint))
    if is_entrypoint:
        return _class_style(value, name)
    return _application(value, f"{attribute} in {name}", name, _functions(module))


def _application(value: Any, title: str, name: str, functions: dict[str, Any]) -> Entry:
    """Let an application answer requests, and functions of the module what it cannot."""
    others = {event: function for event, function in functions.items() if event != "fetch"}
    return _hosting(value, title, name, _callers(others), is_class=False)


def _hosting(value: Any, title: str, name: str, callers: dict[str, Invoke], *, is_class: bool) -> Entry:
    found = find_application(value, title)
    return Entry(
        name=name,
        handlers=(found.kind, *callers),
        scheduled=callers.get("scheduled"),
        application=found.asgi,
        is_class=is_class,
        where=title,
    )


def _no_attribute(value: Any, part: str, attribute: str, name: str) -> LookupError:
    public = [each for each in dir(value) if not each.startswith("_")]
    nearest = difflib.get_close_matches(part, public, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return LookupError(f'"{name}" has no attribute {part!r}, but main says {attribute!r}{hint}')


# -- errors ---------------------------------------------------------------------------------------


def _missing(name: str, handler: str, event: str) -> LookupError:
    error = LookupError(f'Python entrypoint "{name}" does not export a handler named "{handler}"')
    if handler.startswith("on_"):
        error.add_note(f"add async def on_{event}({', '.join(OFFERED[event])}), or class Default(WorkerEntrypoint)")
    else:
        error.add_note(f"add async def {event}(self, {OFFERED[event][0]}) to class Default")
    return error


def _nothing_there(module: ModuleType, name: str) -> LookupError:
    error = _missing(name, "on_fetch", "fetch")
    bases = (WorkerEntrypoint, DurableObject, WorkflowEntrypoint)
    for each, value in vars(module).items():
        if not inspect.isclass(value) or value in bases or not issubclass(value, bases):
            continue
        if issubclass(value, WorkerEntrypoint):
            error.add_note(f"class {each} is a named entrypoint: the one that answers requests is called Default")
        else:
            error.add_note(refusal(value, DurableObject if issubclass(value, DurableObject) else WorkflowEntrypoint))
    return error


def _two_entrypoints(name: str, functions: dict[str, Any]) -> TypeError:
    error = TypeError("Cannot define multiple default entrypoints")
    names = " and ".join(f"on_{event}" for event in functions)
    error.add_note(f'"{name}" has class Default and {names}: keep one style')
    return error


def _where(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    if code is None:
        return ""
    return f"{function.__qualname__}() at {code.co_filename}:{code.co_firstlineno}"
