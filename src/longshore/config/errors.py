"""What is wrong with a configuration: every problem at once, each with its place (PURE).

The text of a problem never holds a secret. ``source_line`` may, so whoever prints it asks ``is_secret`` first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigError", "Problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it."""

    message: str
    """What is wrong: lower case, no full stop, with what was expected and what was found."""
    key_path: str = ""
    """The key as it is written in documentation, like ``env.production.hyperdrive[0].binding``."""
    hint: str = ""
    """The next step, where there is one."""
    file: str | None = None
    """The file as a person would name it (relative to where the command runs), or a variable of the environment."""
    line: int | None = None
    """Counted from 1."""
    column: int | None = None
    """Where the key begins in its line, counted from 1."""
    length: int = 1
    """How many characters the key has in the file."""
    source_line: str | None = None
    """The line as it stands in the file."""
    is_secret: bool = False
    """Whether ``source_line`` may hold a secret, so that only the key of it may be shown."""

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line is not None:
            place = f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key_path, self.message, self.hint) if part)


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        problems: everything that was found, in the order of the file; at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "an error has at least one problem"
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
