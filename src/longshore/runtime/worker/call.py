"""Calls handlers with as many arguments as they take: signatures are read once, when the worker boots.

A handler may leave out arguments from the right (``fetch(self)``, ``fetch(self, request)``, ``on_fetch(request, env,
ctx)``), take them all with ``*args``, or name some of them as keyword-only parameters.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from longshore.workers._entrypoint import WorkerEntrypoint

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[[Any, Any, Any], Any]

__all__ = ["Arity", "arity_of", "class_caller", "function_caller"]

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Arity:
    """Which of the offered arguments a function takes.

    Args:
        count: how many from the left, by position.
        keywords: position of those it takes by name.
    """

    __slots__ = ("count", "keywords")

    def __init__(self, count: int, keywords: dict[str, int]) -> None:
        self.count = count
        self.keywords = keywords

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call ``function`` with its part of ``arguments``."""
        named = {name: arguments[index] for name, index in self.keywords.items()}
        return function(*arguments[: self.count], **named)


def arity_of(function: Callable[..., Any], offered: tuple[str, ...], title: str) -> Arity:
    """Read the signature of a handler.

    Args:
        function: bound, when it is a method.
        offered: the names of the arguments that there are, in order.
        title: what the handler is called in an error.

    Raises:
        TypeError: it requires more than is offered.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin without a signature
        return Arity(len(offered), {})
    positional = [each for each in parameters if each.kind in POSITIONAL]
    takes_all = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    keywords = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    surplus = [each for each in positional[len(offered) :] if each.default is inspect.Parameter.empty]
    surplus += [each for each in keywords if each.name not in offered and each.default is inspect.Parameter.empty]
    if surplus:
        names = ", ".join(each.name for each in surplus)
        raise TypeError(f"{title} requires {names}, but a handler is given {', '.join(offered)} at most")
    count = len(offered) if takes_all else min(len(positional), len(offered))
    return Arity(count, {each.name: offered.index(each.name) for each in keywords if each.name in offered})


def function_caller(function: Callable[..., Any], arity: Arity) -> Invoke:
    """Return ``invoke(first, env, ctx)`` for a handler that is a function."""
    if arity.keywords or arity.count > 3:
        return lambda first, env, ctx: arity.call(function, (first, env, ctx))
    if arity.count == 0:
        return lambda _first, _env, _ctx: function()
    if arity.count == 1:
        return lambda first, _env, _ctx: function(first)
    if arity.count == 2:
        return lambda first, env, _ctx: function(first, env)
    return function


def class_caller(cls: type[WorkerEntrypoint], name: str, arity: Arity) -> Invoke:
    """Return ``invoke(first, env, ctx)`` for a handler that is a method: it makes an instance for each call."""
    make = instance_maker(cls)
    if name == "fetch" and arity.count == 1 and not arity.keywords and is_plain(cls):
        return plain_fetch_caller(cls)
    if arity.keywords or arity.count > 1:
        return lambda first, env, ctx: arity.call(getattr(make(ctx, env), name), (first, env, ctx))
    return lambda first, env, ctx: getattr(make(ctx, env), name)(*(first,)[: arity.count])


def instance_maker(cls: type[WorkerEntrypoint]) -> Callable[[Any, Any], Any]:
    """Return ``make(ctx, env)``, in the cheapest way that its constructor allows.

    Raises:
        TypeError: ``__init__`` requires more than ``ctx`` and ``env``.
    """
    if is_plain(cls):
        return plain_maker(cls)
    bare: Any = cls.__new__(cls, None, None)
    arity = arity_of(bare.__init__, ("ctx", "env"), f"{cls.__name__}.__init__")
    if arity.count == 2 and not arity.keywords:
        return cls

    def make(ctx: Any, env: Any) -> Any:
        instance: Any = cls.__new__(cls, ctx, env)
        arity.call(instance.__init__, (ctx, env))
        return instance

    return make


def is_plain(cls: type[WorkerEntrypoint]) -> bool:
    """Return whether ``cls`` leaves construction to ``WorkerEntrypoint``."""
    base: Any = WorkerEntrypoint
    return cls.__new__ is base.__new__ and cls.__init__ is base.__init__


def plain_fetch_caller(cls: type[WorkerEntrypoint]) -> Invoke:
    """Return the caller of ``async def fetch(self, request)``, which is what nearly every worker has: the hot path."""
    new: Callable[[type], Any] = object.__new__

    def invoke(request: Any, env: Any, ctx: Any) -> Any:
        instance = new(cls)
        instance.ctx = ctx
        instance.env = env
        return instance.fetch(request)

    return invoke


def plain_maker(cls: type[WorkerEntrypoint]) -> Callable[[Any, Any], Any]:
    """Return ``make(ctx, env)`` for a class for which ``is_plain``."""
    new: Callable[[type], Any] = object.__new__

    def make(ctx: Any, env: Any) -> Any:
        instance = new(cls)
        instance.ctx = ctx
        instance.env = env
        return instance

    return make
