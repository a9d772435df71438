"""``longshore pool users``: the users file. No command prints a secret."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from rich.text import Text

from longshore.cli.console import CommandFailed
from longshore.cli.exit_codes import USAGE
from longshore.config.document import decode_text
from longshore.pool.standalone.users_file import parse_users, with_user, without_user
from longshore.proto.postgres.auth import Md5Hash, PlainPassword
from longshore.proto.postgres.scram import make_verifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from longshore.proto.postgres.auth import Secret

__all__ = ["add", "list_users", "remove"]

_SALT_BYTES = 16
_MAX_NAME_BYTES = 63


def add(file: Path, name: str, console: Console, ask: Callable[[], str] | None) -> None:
    """Add a user or change the password.

    Args:
        file: the users file; it is made when there is none.
        name: of the user.
        console: where to print.
        ask: asks a person; None: standard input has the password.

    Raises:
        CommandFailed: there is no password, or the file cannot be read or written.
        ConfigError: a line of the file is wrong.
    """
    if not name or "\n" in name or "\0" in name or len(name.encode()) > _MAX_NAME_BYTES:
        raise CommandFailed(f"{name[:80]!r} is no name of a user: it has 1 to {_MAX_NAME_BYTES} bytes", USAGE)
    text = _read(file) if file.exists() else ""
    was_there = name in parse_users(text, str(file))
    password = _piped() if ask is None else ask()
    if not password:
        raise CommandFailed("the password is empty")
    verifier = make_verifier(password.encode(), salt=os.urandom(_SALT_BYTES))
    _write(file, with_user(text, name, str(verifier)))
    done = "has a new password" if was_there else "was added"
    console.print(Text(f"{name!r} {done}; a running pool takes it at SIGHUP"))


def remove(file: Path, name: str, console: Console) -> None:
    """Remove a user.

    Raises:
        CommandFailed: it is not there, or the file cannot be read or written.
    """
    left = without_user(_read(file), name)
    if left is None:
        raise CommandFailed(f"there is no user {name!r} in {file}")
    _write(file, left)
    console.print(Text(f"{name!r} was removed; a running pool takes it at SIGHUP"))


def list_users(file: Path, console: Console) -> None:
    """Print the users.

    Raises:
        CommandFailed: the file cannot be read.
        ConfigError: a line of it is wrong.
    """
    found = parse_users(_read(file), str(file))
    width = max(map(len, found), default=0)
    for name, secret in sorted(found.items()):
        console.print(Text(f"{name:<{width}}  {_kind(secret)}"))


def _kind(secret: Secret) -> str:
    if isinstance(secret, PlainPassword):
        return "the password itself: 'longshore pool users add' makes a verifier of it"
    return "md5" if isinstance(secret, Md5Hash) else "SCRAM-SHA-256"


def _read(file: Path) -> str:
    try:
        return decode_text(file.read_bytes(), str(file))
    except OSError as exc:
        raise CommandFailed(f"{str(file)!r} cannot be read: {exc.strerror}") from exc


def _write(file: Path, text: str) -> None:
    """Replace the file in one step, readable for its owner alone."""
    try:
        fd, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
        try:
            with open(fd, "w", encoding="utf-8") as stream:
                stream.write(text)
            if file.exists():
                status = file.stat()
                with contextlib.suppress(PermissionError):  # the owner may not give it away, and need not
                    os.chown(temporary, status.st_uid, status.st_gid)
                os.chmod(temporary, status.st_mode & 0o770)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise CommandFailed(f"{str(file)!r} cannot be written: {exc.strerror}") from exc


def _piped() -> str:
    """Return standard input, without the line end that ``echo`` and editors put behind it."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandFailed("the password is no text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
