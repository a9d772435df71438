"""Makes projects of the documentation's workers, and reads what a page says about their answers."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Call", "calls_of", "write_project"]

CONFIG: Final = 'name = "example"\nmain = "src/entry.py"\n'
DATABASE: Final = '\n[[hyperdrive]]\nbinding = "DB"\nlocalConnectionString = "{scheme}://u:p@127.0.0.1:1/d"\n'


@dataclass(frozen=True, slots=True)
class Call:
    """One ``$ curl`` of a page."""

    path: str
    method: str | None
    body: str | None
    answer: str
    """What stands below it; empty when the page does not say."""


def calls_of(session: str) -> list[Call]:
    """Return what a ``console`` block asks a worker."""
    found: list[Call] = []
    answer: list[str] = []
    for line in reversed(session.splitlines()):
        if not line.startswith("$ "):
            answer.append(line)
            continue
        words = shlex.split(line[2:], comments=True)
        if words[0] == "curl":
            found.append(_call(words[1:], "\n".join(reversed(answer))))
        answer = []
    return found[::-1]


def _call(words: list[str], answer: str) -> Call:
    path, method, body = "/", None, None
    rest = iter(words)
    for word in rest:
        if word in {"-X", "--request"}:
            method = next(rest)
        elif word in {"-d", "--data", "--data-raw"}:
            body = next(rest)
        elif word.startswith("-"):
            raise ValueError(f"curl {word}: not understood here")
        else:
            path = "/" + word.partition("://")[2].partition("/")[2]
    return Call(path, method, body, answer)


def write_project(folder: Path, config: str, worker: str) -> Path:
    """Write a project; return its folder.

    Args:
        folder: an empty one.
        config: the page's configuration; empty for a plain one.
        worker: the main module.
    """
    text = config or CONFIG
    declared = tomllib.loads(text)
    if "env.DB" in worker and "hyperdrive" not in declared:
        text += DATABASE.format(scheme="mysql" if "mysql" in worker else "postgresql")
    main = folder / declared.get("main", "src/entry.py")
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text(worker, encoding="utf-8")
    (folder / "longshore.toml").write_text(text, encoding="utf-8")
    return folder
