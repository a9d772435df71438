"""What a client's StartupMessage asks for (PURE; manual: libpq, "options")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.session.settings import set_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["start_settings"]


def start_settings(parameters: Iterable[tuple[bytes, bytes]], known: dict[bytes, bytes]) -> dict[str, str]:
    """Return the settings of a session: name → statement.

    Args:
        parameters: of the StartupMessage, without user and database.
        known: what a server reports after the pool's login; what is so anyway needs no statement.

    Raises:
        ValueError: ``options`` are malformed.
    """
    settings: dict[str, str] = {}
    for name, value in parameters:
        if name == b"options":
            pairs: Iterable[tuple[str, str]] = _options(value.decode(errors="replace"))
        elif known.get(name) == value:
            continue
        else:
            pairs = [(name.decode(errors="replace"), value.decode(errors="replace"))]
        settings.update((each.lower(), set_sql(each, wanted)) for each, wanted in pairs)
    return settings


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Read the command line of a server process, as far as it sets parameters."""
    words = iter(_split(text))
    for word in words:
        if word == "-c":
            pair = next(words, "")
        elif word.startswith(("-c", "--")):
            pair = word[2:]
        else:
            raise ValueError(f"invalid command-line argument for server process: {word}")
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"-c {pair} requires a value")
        yield name.replace("-", "_"), value


def _split(text: str) -> Iterator[str]:
    """Split at spaces; a backslash keeps the next character."""
    word, is_escaped = "", False
    for char in text:
        if is_escaped:
            word, is_escaped = word + char, False
        elif char == "\\":
            is_escaped = True
        elif not char.isspace():
            word += char
        elif word:
            yield word
            word = ""
    if word:
        yield word
