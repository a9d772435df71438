"""Which account a server runs under, and the folder that it may use.

PostgreSQL refuses to run as root. For root there is an account without rights, and everything that the server reads
must be reachable by it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["identity", "is_open_to_others", "private_directory", "unprivileged_account"]


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account to run a server under: None for the present one, unless that is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments of ``subprocess.Popen`` that choose the account."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def is_open_to_others(path: Path) -> bool:
    """Return whether every account may enter the folder and those above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


@contextlib.contextmanager
def private_directory(prefix: str, account: pwd.struct_passwd | None) -> Iterator[Path]:
    """Yield a new folder that belongs to the account alone; it is removed in the end."""
    base = Path(tempfile.gettempdir()).resolve()
    if account is not None and not is_open_to_others(base):
        base = Path("/tmp")  # noqa: S108 - mkdtemp makes a private folder in it; TMPDIR is one that only root may enter
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    try:
        if account is not None:
            _give(directory, account)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _give(directory: Path, account: pwd.struct_passwd) -> None:
    try:
        os.chown(directory, account.pw_uid, account.pw_gid)
    except PermissionError as exc:
        why = "the server may not run as root, and this root may not change to another account"
        raise PermissionError(f"cannot give {str(directory)!r} to {account.pw_name!r}: {why}") from exc
