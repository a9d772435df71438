"""Files that are nobody else's business: read only when they are private, written in one step (shell)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.credentials.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Stamp", "list_private", "read_private", "remove_private", "stamp_of", "write_private"]

Stamp: TypeAlias = tuple[int, int, int, int]
"""What changes with a file: device, inode, size and time of change, which no program can set back."""

MAX_BYTES: Final = 1 << 20
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells one version of a file from the next; None when there is none."""
    try:
        return _stamp(os.stat(path, follow_symlinks=False))
    except OSError:
        return None


def read_private(root: Path, path: Path) -> tuple[bytes, Stamp] | None:
    """Return what a file below ``root`` holds; None when it does not exist.

    Raises:
        CredentialError: others may read or change it or its folders, it is no plain file, or it cannot be read.
    """
    with _explained(path):
        for folder in _folders(root, path):
            if not _is_private_folder(folder):
                return None
        try:
            # O_NONBLOCK: opening a FIFO would wait for its writer.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(fd)
            _check_file(path, status)
            with open(fd, "rb", closefd=False) as file:
                return file.read(), _stamp(status)
        finally:
            os.close(fd)


def write_private(root: Path, path: Path, data: bytes) -> None:
    """Make or replace a file below ``root``, folders included; on the disk when this returns.

    Raises:
        CredentialError: it cannot be written, or others may read or change its folders.
    """
    if len(data) > MAX_BYTES:
        raise CredentialError(f"it has more than {MAX_BYTES} bytes")
    with _explained(path):
        for folder in _folders(root, path):
            if not _is_private_folder(folder):
                folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
                _is_private_folder(folder)
        # A name that no credential can have, and a new one each time: two writers do not meet.
        temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        try:
            _write_new(temporary, data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def remove_private(root: Path, path: Path) -> bool:
    """Remove a file below ``root``; False when there is none.

    Raises:
        CredentialError: it cannot be removed.
    """
    with _explained(path):
        if not all(_is_private_folder(folder) for folder in _folders(root, path)):
            return False
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True


def list_private(root: Path, folder: str) -> tuple[str, ...]:
    """Return the names of the files in a folder below ``root``, sorted.

    Raises:
        CredentialError: others may read or change the folders, or they cannot be read.
    """
    place = root / folder
    with _explained(place):
        if not (_is_private_folder(root) and _is_private_folder(place)):
            return ()
        return tuple(sorted(name for name in os.listdir(place) if not name.startswith(".")))


def _folders(root: Path, path: Path) -> Iterator[Path]:
    yield root
    yield path.parent


def _is_private_folder(folder: Path) -> bool:
    """Return False when there is none.

    Raises:
        CredentialError: others may use it.
    """
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        raise CredentialError(f"{str(folder)!r} is no folder")
    _check_owner(folder, status, _FOLDER_MODE)
    return True


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CredentialError(f"{str(path)!r} is no plain file")
    if status.st_size > MAX_BYTES:
        raise CredentialError(f"{str(path)!r} has more than {MAX_BYTES} bytes")
    _check_owner(path, status, _FILE_MODE)


def _check_owner(path: Path, status: os.stat_result, mode: int) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise CredentialError(
            f"{str(path)!r} belongs to user {status.st_uid}, and this is run by user {os.geteuid()}",
            "a store belongs to the user who runs Longshore",
        )
    if status.st_mode & _OTHERS:
        found = stat.S_IMODE(status.st_mode)
        raise CredentialError(
            f"{str(path)!r} can be used by others, its mode is {found:04o}", f"run: chmod {mode:o} {path}"
        )


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise CredentialError(f"{str(path)!r} is a symbolic link", "put the file itself there") from exc
        raise CredentialError(f"{str(exc.filename or path)!r}: {exc.strerror}") from exc
