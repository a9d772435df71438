"""The file that says who may log in: PgBouncer's ``userlist.txt`` (PURE).

One user a line, ``"name" "secret"``; a quotation mark within is doubled, and ``;`` or ``#`` begins a comment. The
secret is a SCRAM verifier as PostgreSQL stores it, ``md5…``, or the password itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from longshore.config.errors import ConfigError, Problem
from longshore.proto.postgres.auth import parse_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.proto.postgres.auth import Secret

__all__ = ["parse_users", "user_line", "with_user", "without_user"]

_QUOTED: Final = r'"((?:[^"\0]|"")*)"'
# What stands behind the secret is PgBouncer's to ignore, and ours.
_USER: Final = re.compile(rf"\s*{_QUOTED}\s+{_QUOTED}(?:\s.*)?")
_FORM: Final = 'write "name" "secret", both in quotes'


def parse_users(text: str, file: str) -> dict[str, Secret]:
    """Return the users with their secrets.

    Args:
        text: of the file.
        file: its name, for messages.

    Raises:
        ConfigError: with every line that is wrong; no message holds a secret.
    """
    users: dict[str, Secret] = {}
    problems: list[Problem] = []
    for number, line in _lines(text):
        match = _USER.fullmatch(line)
        if match is None or not match[1]:
            problems.append(Problem(message="is no user", hint=_FORM, file=file, line=number))
        elif (name := _plain(match[1])) in users:
            problems.append(Problem(message=f"user {name!r} stands twice", file=file, line=number))
        else:
            users[name] = parse_secret(_plain(match[2]))
    if problems:
        raise ConfigError(problems)
    return users


def user_line(name: str, secret: str) -> str:
    """Return the line of one user, without its end."""
    return f"{_quoted(name)} {_quoted(secret)}"


def with_user(text: str, name: str, secret: str) -> str:
    """Return the file with this user, at its place when it is there already."""
    lines, is_there = _split(text), False
    for index, line in enumerate(lines):
        if _name(line) == name:
            lines[index], is_there = user_line(name, secret), True
    if not is_there:
        lines.append(user_line(name, secret))
    return "\n".join(lines) + "\n"


def without_user(text: str, name: str) -> str | None:
    """Return the file without this user; None when it is not there."""
    lines = _split(text)
    left = [line for line in lines if _name(line) != name]
    return None if len(left) == len(lines) else "".join(f"{line}\n" for line in left)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_split(text), 1):
        if line.strip() and not line.lstrip().startswith((";", "#")):
            yield number, line


def _split(text: str) -> list[str]:
    """Return the lines: only a line feed ends one, as other "line ends" of Unicode may be part of a password."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _name(line: str) -> str | None:
    match = _USER.fullmatch(line)
    return None if match is None else _plain(match[1])


def _plain(text: str) -> str:
    return text.replace('""', '"')


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
