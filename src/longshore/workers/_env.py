"""``env``: what a worker was given, and nothing else.

One ``Env`` is made when a worker starts (``longshore.workers._bindings``) and handed to every handler; ``workers.env``
is the same one, found when it is asked for, so that a module may import it before it is there. ``patch_env()`` changes
what both say, for the code it runs and the tasks that code starts.
"""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn

from longshore.workers._json_values import as_json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["CurrentEnv", "Env", "env", "install_env", "override_env", "patch_env", "with_env"]

HIDDEN = "(hidden)"

# None: no patch is in force. The bool says whether it stands for everything, so that nothing else is seen.
_patch: ContextVar[tuple[dict[str, Any], bool] | None] = ContextVar("longshore.workers.env", default=None)


class Env:
    """The bindings of a worker, by attribute or by item; iterating gives their names.

    It has no public methods, because every name belongs to the worker's configuration.

    Args:
        values: the bindings.
        secrets: the names that no ``repr()`` may show the value of.
        unavailable: names that the configuration declares and that are not provided, with the reason.
    """

    __slots__ = ("_secrets", "_unavailable", "_values")

    _secrets: frozenset[str]
    _unavailable: Mapping[str, str]
    _values: Mapping[str, Any]

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        secrets: Iterable[str] = (),
        unavailable: Mapping[str, str] | None = None,
    ) -> None:
        object.__setattr__(self, "_values", dict(values or {}))
        object.__setattr__(self, "_secrets", frozenset(secrets))
        object.__setattr__(self, "_unavailable", dict(unavailable or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for its own names
            raise AttributeError(name)
        try:
            return _lookup(self, name)
        except KeyError:
            raise AttributeError(_explain(self, name)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return _lookup(self, name)
        except KeyError:
            raise KeyError(_explain(self, name)) from None

    def __contains__(self, name: object) -> bool:
        return name in _seen(self)

    def __iter__(self) -> Iterator[str]:
        return iter(_seen(self))

    def __len__(self) -> int:
        return len(_seen(self))

    def __bool__(self) -> bool:
        return True  # an env without bindings is there all the same

    def __dir__(self) -> list[str]:
        return sorted([*object.__dir__(self), *_seen(self)])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"cannot set env.{name}: env is read-only; change it for a block with patch_env({name}=...)"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete env.{name}: env is read-only")

    def __copy__(self) -> Env:
        return self  # it is what the worker may use, not a value

    def __deepcopy__(self, _: object) -> Env:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle an env: it holds secrets and connections")

    def __repr__(self) -> str:
        return _shown(self, "Env")


class CurrentEnv(Env):
    """The ``Env`` of the worker that runs, found anew at each access."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        return _shown(self, "env")


env = CurrentEnv()
"""The bindings of the worker that runs: ``from workers import env``."""

_installed: Env | None = None


def install_env(value: Env | None) -> Env | None:
    """Make ``value`` what the global ``env`` shows, and return the former one."""
    global _installed
    former, _installed = _installed, value
    return former


@contextmanager
def patch_env(values: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **keywords: Any) -> Iterator[None]:
    """Override bindings for a block: in the global ``env`` and in the ``env`` that handlers get.

    It holds for this task and for tasks that are started inside the block; others see what they saw.

    Args:
        values: names and values, as a mapping or as pairs.
        **keywords: more of them; they win.
    """
    former = _patch.get()
    changes = {**dict(values or {}), **keywords}
    changed = {name: as_json_value(value) for name, value in changes.items()}
    merged = (changed, False) if former is None else ({**former[0], **changed}, former[1])
    token = _patch.set(merged)
    try:
        yield
    finally:
        _patch.reset(token)


@contextmanager
def with_env(values: Mapping[str, Any]) -> Iterator[None]:
    """Make ``values`` all there is in ``env`` for a block, as ``withEnv()`` of ``cloudflare:workers`` does.

    Args:
        values: names and values.
    """
    token = _patch.set(({name: as_json_value(values[name]) for name in values}, True))
    try:
        yield
    finally:
        _patch.reset(token)


@contextmanager
def override_env(env: Env, values: Mapping[str, Any]) -> Iterator[None]:
    """Change ``env`` itself for a block, whoever looks: for tests, whose requests may come over real HTTP."""
    former = env._values
    object.__setattr__(env, "_values", {**former, **{name: as_json_value(value) for name, value in values.items()}})
    try:
        yield
    finally:
        object.__setattr__(env, "_values", former)


# -- functions and not methods: every attribute of an Env is a binding -----------------------------


def _actual(env: Env) -> Env | None:
    return _installed if isinstance(env, CurrentEnv) else env


def _lookup(env: Env, name: str) -> Any:
    patch = _patch.get()
    if patch is not None:
        if name in patch[0]:
            return patch[0][name]
        if patch[1]:
            raise KeyError(name)
    actual = _actual(env)
    if actual is None:
        raise KeyError(name)
    return actual._values[name]


def _seen(env: Env) -> Mapping[str, Any]:
    patch, actual = _patch.get(), _actual(env)
    declared = {} if actual is None else actual._values
    if patch is None:
        return declared
    return patch[0] if patch[1] else {**declared, **patch[0]}


def _explain(env: Env, name: str) -> str:
    """Say why there is no ``name``, and what to do."""
    actual = _actual(env)
    if actual is None and _patch.get() is None:
        return (
            f"env.{name} is not known: no worker is running; env is there inside longshore dev and longshore serve, "
            "in tests by the fixture worker, and anywhere inside patch_env()"
        )
    if actual is not None and name in actual._unavailable:
        return f"env.{name} is declared, but not available: {actual._unavailable[name]}"
    seen = _seen(env)
    message = f"env.{name} is not declared"
    nearest = difflib.get_close_matches(name, seen, n=3, cutoff=0.5)
    if not nearest:  # 'api_url' for 'API_URL' has no letter in common with it
        nearest = [known for known in seen if known.casefold() == name.casefold()]
    if nearest:
        message += f"; did you mean {' or '.join(map(repr, nearest))}?"
    return f"{message} (declared: {', '.join(sorted(seen)) or 'nothing'})"


def _shown(env: Env, title: str) -> str:
    actual = _actual(env)
    secrets: frozenset[str] = frozenset() if actual is None else actual._secrets
    parts = [f"{name}={HIDDEN if name in secrets else repr(value)}" for name, value in _seen(env).items()]
    return f"<{' '.join([title, ', '.join(parts)]).rstrip()}>"
