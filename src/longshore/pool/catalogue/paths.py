"""Where names are looked for: ``search_path`` as sessions and functions set it (PURE)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from longshore.sql.classify import classify
from longshore.sql.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.pool.catalogue.names import Path
    from longshore.pool.catalogue.rows import Code, Head

__all__ = ["path_of", "session_path", "split_identifiers"]

_USER: Final = "$user"
_TEMPORARY: Final = "pg_temp"
_IDENTIFIER: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|\Z)')
# As settings.set_sql writes it.
_SET_CONFIG: Final = re.compile(
    r"SELECT pg_catalog\.set_config\(\s?E?'(?:[^']|'')*', (\s?E)?'((?:[^']|'')*)', false\)", re.DOTALL
)


def session_path(head: Head, settings: Mapping[str, str]) -> Path:
    """Return the schemas of a session.

    Args:
        head: what holds for the login.
        settings: name → statement.

    Returns:
        None when the statements do not tell.
    """
    user = _user(head, settings)
    if user is None:
        return None
    text = settings.get("search_path")
    schemas = split_identifiers(head.search_path) if text is None else _schemas(text)
    return None if schemas is None else _named(schemas, user)


def path_of(code: Code, path: Path) -> Path:
    """Return the schemas that the body of a function sees.

    Args:
        code: the function.
        path: of its caller.
    """
    for setting in code.config or ():
        name, _, value = setting.partition("=")
        if name == "search_path":
            schemas = split_identifiers(value)
            return None if schemas is None or _USER in schemas else _named(schemas, "")
    if code.owner is None or path is None:
        return path
    return (*path, code.owner)  # "$user" is another one inside


def split_identifiers(text: str) -> list[str] | None:
    """Return the names in a list as PostgreSQL writes it; None when it is malformed."""
    found: list[str] = []
    position = 0
    while text[position:].strip():
        match = _IDENTIFIER.match(text, position)
        if match is None:
            return None
        found.append(match[2].lower() if match[1] is None else match[1].replace('""', '"'))
        position = match.end()
    return found


def _schemas(text: str) -> list[str] | None:
    if (value := _config_value(text)) is not None:
        return split_identifiers(value)
    single = classify(text).single
    if single is None or single.kind is not Kind.SET or not single.values:
        return None
    return list(single.values)


def _user(head: Head, settings: Mapping[str, str]) -> str | None:
    """Return the current user, which ``$user`` means; None when it is not known."""
    role = head.role
    if (text := settings.get("session_authorization")) is not None:
        role = "none"
        user = _value(text)
    else:
        user = head.user
    if (text := settings.get("role")) is not None:
        role = _value(text) or ""
    if role in ("none", "default"):
        return user
    return role or None


def _value(text: str) -> str | None:
    if (value := _config_value(text)) is not None:
        return value
    single = classify(text).single
    return single.value if single is not None and single.kind is Kind.SET else None


def _config_value(text: str) -> str | None:
    match = _SET_CONFIG.fullmatch(text.strip())
    if match is None:
        return None
    value = match[2].replace("''", "'")
    return value.replace("\\\\", "\\") if match[1] else value


def _named(schemas: Iterable[str], user: str) -> tuple[str, ...]:
    names = (user if each == _USER else each for each in schemas)
    return tuple(dict.fromkeys(each for each in names if each and each != _TEMPORARY))
