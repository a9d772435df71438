"""``longshore secret``: secrets in the credential store. No command prints the value of one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.text import Text

from longshore.cli.cert import store_or_fail
from longshore.cli.console import CommandFailed
from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind, check_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

__all__ = ["put"]


def put(name: str, console: Console, ask: Callable[[str], str]) -> None:
    """Store a secret: from standard input, or typed by a person.

    Args:
        name: what ``secrets.required`` lists.
        console: where to print.
        ask: asks a person, without showing what is typed.

    Raises:
        CommandFailed: it cannot be stored, or there is none.
    """
    store = store_or_fail()
    try:
        check_name(Kind.SECRET, name)  # before a person has typed it
        value = ask(f"Value of {name}") if sys.stdin.isatty() else _piped()
        if not value:
            raise CommandFailed("the value is empty", hint=f"pipe it in: printf %s … | longshore secret put {name}")
        was_there = store.has(Kind.SECRET, name)
        store.put_secret(name, value)
    except CredentialError as exc:
        raise CommandFailed(exc.message, hint=exc.hint) from exc
    done = "replaced; workers get it when they start" if was_there else "stored"
    console.print(Text(f"secret {name!r} {done}"))


def _piped() -> str:
    """Return standard input, without the line end that ``echo`` and editors put behind it."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandFailed("the value is no text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
