"""Lays ``[env.<name>]`` over the top level by wrangler's rules (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from longshore.config.errors import ConfigError
from longshore.config.positions import path_text
from longshore.config.validate import nearest
from longshore.config.wrangler_keys import NON_INHERITABLE, is_minor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.config.document import Document
    from longshore.config.positions import KeyPath
    from longshore.config.report import Report

__all__ = ["Merged", "choose_environment", "merge"]

DEV: Final = "dev"
# Ours, and merged key by key: what the top level denies stays denied in an environment that opens something else.
_MERGED_BY_KEY: Final = frozenset({"network", "sandbox", "serve", "tls"})


@dataclass(slots=True)
class Merged:
    """The keys in force, and where each came from."""

    values: dict[str, Any]
    environment: str | None = None
    origins: dict[str, KeyPath] = field(default_factory=dict)
    """For a key of ``values`` that comes from ``env.<name>``: that path."""

    def path(self, key: str, *rest: str | int) -> KeyPath:
        """Return where ``key`` stands in the file."""
        return (*self.origins.get(key, ()), key, *rest)


def choose_environment(document: Document, asked: str | None, *, is_dev: bool, source: str = "") -> str | None:
    """Return the environment to use: the one asked for, or ``dev`` while developing.

    Args:
        document: the file.
        asked: the name that was asked for.
        is_dev: whether this is for ``longshore dev``.
        source: who asked, for the message.

    Raises:
        ConfigError: there is no such environment.
    """
    names = document.values.get("env", {})
    if asked is None:
        return DEV if is_dev and DEV in names else None
    if asked not in names:
        near = nearest(asked, names)
        declared = f"this file has {', '.join(map(repr, names))}" if names else f"add a section [env.{asked}]"
        hint = f"did you mean {near!r}?" if near else declared
        raise ConfigError([document.problem(("env",), f"no environment {asked!r}{source}", hint)])
    return asked


def merge(document: Document, environment: str | None, report: Report) -> Merged:
    """Return the keys in force for an environment of the file, or for the top level.

    Most keys of an environment replace the top level's. The keys of ``NON_INHERITABLE`` are the environment's alone:
    what the top level says is not taken over, and a notice says so. ``network``, ``tls``, ``sandbox`` and ``serve``
    are laid over each other key by key.
    """
    values = {key: value for key, value in document.values.items() if key != "env"}
    if environment is None:
        return Merged(values)
    section: dict[str, Any] = document.values["env"][environment]
    merged = Merged(values, environment)
    _leave_behind(merged, section, report)
    if "name" in values and "name" not in section:
        values["name"] = f"{values['name']}-{environment}"
    for key, value in section.items():
        values[key] = {**values.get(key, {}), **value} if key in _MERGED_BY_KEY else value
        merged.origins[key] = ("env", environment)
    return merged


def _leave_behind(merged: Merged, section: Mapping[str, Any], report: Report) -> None:
    """Drop what an environment does not inherit; say so unless it is repeated."""
    for key in sorted(NON_INHERITABLE & merged.values.keys()):
        value = merged.values.pop(key)
        lost: list[KeyPath] = []
        if key not in section:
            lost = [(key,)] if value else []
        elif key == "vars":
            lost = [(key, name) for name in value if name not in section[key]]
        for path in lost:
            target = path_text(("env", str(merged.environment), *path))
            message = f"is not inherited by environments: repeat it as {target} where it is wanted"
            report.notice(path, message, is_minor=is_minor(key))
