"""Text → commands of the admin database (PURE).

A text holds commands with ``;`` between them, in any case, with comments. What is not a command is an error that says
where the list of them is: nothing is guessed, because some commands close connections.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from longshore.pool.admin.commands import (
    AdminError,
    ClearCache,
    Command,
    Control,
    Harmless,
    KillClient,
    Reload,
    Set,
    Show,
    Shutdown,
    ShutdownMode,
    Transaction,
    Verb,
)
from longshore.pool.admin.small_talk import HARMLESS_KEYS, UTF8_NAMES, answer

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

__all__ = ["parse"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<word>[^\W\d][\w$.]*)
    |(?P<number>-?\d+(?:\.\d+)?\w*)
    |"(?P<quoted>(?:[^"]|"")+)"
    |'(?P<string>(?:[^']|'')*)'
    |(?P<symbol>[;=*(),])""",
    re.VERBOSE | re.DOTALL,
)
_HINT: Final = "SHOW HELP lists the commands"
_END: Final = ";"
_MAX_COMMANDS: Final = 20
"""In one text: the answers to all of them are kept until the last one is done."""
_TRANSACTION: Final = {
    "BEGIN": "BEGIN",
    "START": "START TRANSACTION",
    "COMMIT": "COMMIT",
    "END": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ROLLBACK",
}
_NEEDS_DATABASE: Final = (Verb.DISABLE, Verb.ENABLE)
_MAX_SHOWN: Final = 60


class Token(NamedTuple):
    """A word, a name or a symbol."""

    text: str
    kind: str
    """The name of its group in ``_TOKEN``."""

    @property
    def key(self) -> str:
        """A word in capitals; of a name in quotes nothing: it is no keyword."""
        return self.text.upper() if self.kind in ("word", "symbol") else ""


def parse(text: str, tables: Container[str]) -> list[Command]:
    """Return the commands of a text.

    Args:
        text: as it was sent.
        tables: what SHOW knows, in capitals.

    Raises:
        AdminError: something in it is no command; none of them is to be run.
    """
    commands: list[Command] = []
    words: list[Token] = []
    for token in [*_tokens(text), Token(_END, "symbol")]:
        if token.key != _END:
            words.append(token)
        elif words:
            if len(commands) >= _MAX_COMMANDS:
                raise AdminError(
                    "54000", f"more than {_MAX_COMMANDS} commands at once", "send them one after the other"
                )
            commands.append(_command(words, tables))
            words = []
    return commands


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise AdminError("42601", f"syntax error at or near {_shown(text[position:])}", _HINT)
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "space":
            doubled = {"quoted": '"', "string": "'"}.get(kind)
            value = match[kind]
            found.append(Token(value.replace(doubled * 2, doubled) if doubled else value, kind))
    return found


def _command(words: Sequence[Token], tables: Container[str]) -> Command:
    head, rest = words[0].key, words[1:]
    match head:
        case "SHOW":
            return _show(rest, tables)
        case "SELECT":
            return answer(_joined(words).lower()) or _refuse(words)
        case "SET" | "RESET":
            return _set(head, rest)
        case _ if head in _TRANSACTION:
            return Transaction(_TRANSACTION[head])
        case "DISCARD" | "DEALLOCATE" | "CLOSE" | "UNLISTEN":
            return Harmless(f"{head} ALL" if "ALL" in {word.key for word in rest} else head)
        case _:
            return _order(words, head, rest)


def _order(words: Sequence[Token], head: str, rest: Sequence[Token]) -> Command:
    match head:
        case "KILL_CLIENT":
            return _kill_client(words, rest)
        case "KILL" if rest and rest[0].key == "CLIENT":
            return _kill_client(words, rest[1:])
        case "CLEAR" if rest and rest[0].key == "CACHE":
            return ClearCache(_database(words, rest[1:]))
        case "RELOAD" if not rest:
            return Reload()
        case "SHUTDOWN":
            return _shutdown(words, rest)
        case _ if head in Verb.__members__:
            return _control(words, Verb(head))
        case _:
            return _refuse(words)


def _show(rest: Sequence[Token], tables: Container[str]) -> Command:
    name = _joined(rest)
    if len(rest) == 1 and name.upper() in tables:
        return Show(name.upper())
    if (known := answer(f"show {name.lower()}")) is not None:
        return known
    raise AdminError("42704", f"there is nothing to SHOW by the name of {_shown(name)}", _HINT)


def _set(head: str, rest: Sequence[Token]) -> Command:
    words = [word for word in rest if word.key not in ("=", "TO", "SESSION", "LOCAL")]
    if not words:
        raise AdminError("42601", f"{head} what?", "write SET key = value; SHOW CONFIG lists the keys")
    key, value = words[0].text.lower(), ",".join(word.text for word in words[1:])
    if key == "client_encoding" and head == "SET" and value.lower().replace("-", "") not in UTF8_NAMES:
        raise AdminError("22023", f"the admin database speaks UTF8 only, not {_shown(value)}")
    if head == "RESET" or key in HARMLESS_KEYS:
        return Harmless(head)
    if len(words) != 2:
        raise AdminError("42601", f"SET {key} needs one value", "write SET key = value; SHOW CONFIG lists the keys")
    return Set(key, value)


def _kill_client(words: Sequence[Token], rest: Sequence[Token]) -> Command:
    if len(rest) != 1 or not (rest[0].text.isascii() and rest[0].text.isdecimal()):
        raise AdminError(
            "42601", f"{words[0].text.upper()} needs the id of a client", "SHOW CLIENTS has it in the column id"
        )
    return KillClient(int(rest[0].text))


def _shutdown(words: Sequence[Token], rest: Sequence[Token]) -> Command:
    mode = "_".join(word.key for word in rest) or ShutdownMode.NOW.value
    if mode not in ShutdownMode.__members__ or (rest and mode == ShutdownMode.NOW.value):
        return _refuse(words)
    return Shutdown(ShutdownMode(mode))


def _control(words: Sequence[Token], verb: Verb) -> Command:
    database = _database(words, words[1:])
    if database is None and verb in _NEEDS_DATABASE:
        raise AdminError("42601", f"{verb.value} needs the name of a database", "SHOW DATABASES lists them")
    return Control(verb, database)


def _database(words: Sequence[Token], rest: Sequence[Token]) -> str | None:
    if not rest:
        return None
    if len(rest) != 1 or rest[0].kind == "symbol":
        _refuse(words)
    return rest[0].text


def _joined(words: Sequence[Token]) -> str:
    return " ".join(word.text for word in words)


def _refuse(words: Sequence[Token]) -> Command:
    raise AdminError("42601", f"the admin database does not understand {_shown(_joined(words))}", _HINT)


def _shown(text: str) -> str:
    """Quote what a client sent, not too much of it."""
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")
