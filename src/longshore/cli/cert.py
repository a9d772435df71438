"""``longshore cert``: CA bundles and client certificates in the credential store."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from longshore.cli.console import CommandFailed
from longshore.cli.words import printable
from longshore.credentials.certificates import expiry_words
from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind
from longshore.credentials.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from longshore.credentials.store import CredentialEntry, CredentialStore

__all__ = ["add_ca", "add_client", "list_entries", "present", "read_input", "remove", "store_or_fail"]


def add_ca(name: str, file: Path, console: Console) -> None:
    """Store a CA bundle.

    Raises:
        CommandFailed: it cannot be.
    """
    store = store_or_fail()
    _add(store, Kind.CA, name, lambda: store.put_ca(name, read_input(file)), console)


def add_client(
    name: str, certificate: Path, key: Path | None, console: Console, ask_password: Callable[[], str | None]
) -> None:
    """Store a client certificate.

    Args:
        name: what configurations call it.
        certificate: the chain.
        key: the private key; None when it is in the same file.
        console: where to print.
        ask_password: asks a person for the password of an encrypted key; None when there is no person.

    Raises:
        CommandFailed: it cannot be.
    """
    store = store_or_fail()
    pem = read_input(certificate) + (b"\n" + read_input(key) if key is not None else b"")
    password = None
    if b"ENCRYPTED" in pem:
        if (text := ask_password()) is None:
            hint = "run this in a terminal, or remove the password before: openssl pkey -in key.pem"
            raise CommandFailed("the private key is encrypted, and there is nobody to ask for its password", hint=hint)
        password = text.encode()
    _add(store, Kind.CLIENT, name, lambda: store.put_client(name, pem, password), console)


def _add(store: CredentialStore, kind: Kind, name: str, put: Callable[[], None], console: Console) -> None:
    try:
        was_there = store.has(kind, name)
        put()
        (entry,) = (each for each in store.entries(kind) if each.name == name)
    except CredentialError as exc:
        if repr(name) in exc.message:
            raise _failed(exc) from exc
        raise CommandFailed(f"{kind.noun} {name!r} is not stored: {exc.message}", hint=exc.hint) from exc
    done = "replaced; it is used from the next connection on" if was_there else "stored"
    console.print(Text(f"{kind.noun} {name!r} {done}: {printable(entry.subject)}, {_when(entry)}"))


def list_entries(kinds: tuple[Kind, ...], console: Console) -> None:
    """Print what there is, and what is wrong with it.

    Raises:
        CommandFailed: the store cannot be read.
    """
    store = store_or_fail()
    try:
        entries = store.entries(*kinds)
    except CredentialError as exc:
        raise _failed(exc) from exc
    if not entries:
        console.print(Text(f"nothing is stored in {printable(str(store.folder))}", style="dim"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    is_secret = kinds == (Kind.SECRET,)
    for title in ("name", "sealed") if is_secret else ("kind", "name", "subject", "expires", "sealed"):
        table.add_column(title)
    for entry in entries:
        sealed = Text("yes" if entry.is_sealed else "no")
        name = Text(printable(entry.name), style="bold")
        if is_secret:
            table.add_row(name, sealed)
        else:
            table.add_row(Text(entry.kind.value), name, Text(printable(entry.subject)), _expiry(entry), sealed)
    console.print(table)
    for entry in entries:
        if entry.problem:
            console.print(Text(f"{entry.kind.noun} {printable(entry.name)}: {printable(entry.problem)}", style="red"))


def remove(kinds: tuple[Kind, ...], name: str, console: Console) -> None:
    """Remove what has this name.

    Args:
        kinds: where to look.
        name: of the credential.
        console: where to print.

    Raises:
        CommandFailed: there is none, or one of each kind.
    """
    store = store_or_fail()
    try:
        found = [kind for kind in kinds if store.has(kind, name)]
        if len(found) > 1:
            raise CommandFailed(f"{name!r} is a CA bundle and a client certificate", hint="say which: --kind ca")
        kind = found[0] if found else kinds[-1]
        store.remove(kind, name)
    except CredentialError as exc:
        raise _failed(exc) from exc
    console.print(Text(f"{kind.noun} {name!r} removed"))


def store_or_fail() -> CredentialStore:
    """Return the store that the environment names.

    Raises:
        CommandFailed: its key is none.
    """
    try:
        return open_store(os.environ)
    except CredentialError as exc:
        raise _failed(exc) from exc


def read_input(file: Path) -> bytes:
    """Return what a file holds, ``-`` is standard input.

    Raises:
        CommandFailed: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        raise CommandFailed(f"cannot read {str(file)!r}: {exc.strerror}") from exc


def present() -> datetime:
    """Return the time on the calendar."""
    return datetime.now(UTC)  # noqa: TID251 - certificates go by it


def _failed(error: CredentialError) -> CommandFailed:
    return CommandFailed(error.message, hint=error.hint)


def _when(entry: CredentialEntry) -> str:
    if entry.not_after is None:
        return ""
    return expiry_words(entry.not_after, present()) or f"expires on {entry.not_after:%Y-%m-%d}"


def _expiry(entry: CredentialEntry) -> Text:
    if entry.not_after is None:
        return Text("")
    words = expiry_words(entry.not_after, present())
    if not words:
        return Text(f"{entry.not_after:%Y-%m-%d}")
    return Text(words, style="bold red" if words.startswith("expired") else "yellow")
