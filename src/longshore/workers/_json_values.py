"""JSON values as a worker's code expects them: native Python, with the attribute access of JavaScript objects."""

from __future__ import annotations

from typing import Any

__all__ = ["JsonList", "JsonObject", "as_json_value"]


class JsonObject(dict[str, Any]):
    """A dict whose keys are attributes too: ``env.CONFIG.limits.cpu`` and ``env.CONFIG["limits"]["cpu"]``.

    A key that is the name of a method of ``dict`` is reached as an item only.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(map(repr, self)) or "none"
            raise AttributeError(f"this object has no key {name!r}; its keys are {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"this object has no key {name!r}") from None

    def to_py(self, **_: Any) -> JsonObject:
        """Return the object itself, which is Python already; code written for Pyodide calls this."""
        return self


class JsonList(list[Any]):
    """A list; ``to_py()`` is there for code written for Pyodide."""

    __slots__ = ()

    def to_py(self, **_: Any) -> JsonList:
        """Return the list itself."""
        return self


def as_json_value(value: Any) -> Any:
    """Return a copy of ``value`` whose objects are ``JsonObject`` and whose arrays are ``JsonList``, at any depth."""
    if isinstance(value, dict):
        return JsonObject((name, as_json_value(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return JsonList(as_json_value(inner) for inner in value)
    return value
