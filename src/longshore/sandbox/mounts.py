"""The worker's own view of files: a new root that holds what the plan names, and nothing else (Linux 5.12).

Runs in the first process of a new mount namespace. The order matters:

1. Every visible tree is cloned by a descriptor (``open_tree``) *before* a file system is mounted over ``/tmp``, below
   which some of them may lie.
2. The clones are made read-only while they are attached to nothing, mounts inside of them included
   (``mount_setattr``, recursive): there is no moment in which they could be written to.
3. ``/proc`` is mounted while the old one is still there: the kernel allows a user namespace only what it sees already.
4. The old root goes away with ``pivot_root``; from then on there is no path, and no descriptor of ours, that leads out.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.proto.ipc.jail import JailFile
from longshore.sandbox.kernel import call_libc, syscall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from longshore.proto.ipc.jail import JailPlan

__all__ = ["DEVICES", "PRIVATE", "build_root", "cover", "resolve_outside"]

DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
PRIVATE: Final = {"/tmp": 1 << 30, "/dev/shm": 256 << 20}  # noqa: S108 - of the new root, private
"""Writable folders that are new in each jail, and how much memory their files may take."""
_DEVICE_LINKS: Final = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_ROOT = "/tmp"  # noqa: S108 - the place where the new root is put together; seen by nobody else
_SKELETON_BYTES = 4 << 20
_MAX_LINKS = 40  # as many as the kernel follows

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_MNT_DETACH = 2
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_NOEXEC = 1, 2, 4, 8


def build_root(plan: JailPlan) -> None:
    """Replace the root of the caller's mount namespace, which must be its own.

    Raises:
        OSError: the kernel refused a step.
    """
    folder = os.getcwd()
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    links: dict[str, str] = {}
    read_only = [real for path in plan.read_only if (real := resolve_outside(path, links)) is not None]
    writable = [real for path in plan.writable if (real := resolve_outside(path, links)) is not None]
    hidden = [real for path in plan.hidden if (real := resolve_outside(path, {})) is not None]
    trees = list(_clone_trees(cover(read_only, writable)))
    devices = [(f"/dev/{name}", _open_tree(f"/dev/{name}")) for name in DEVICES if os.path.exists(f"/dev/{name}")]
    _mount("longshore", _ROOT, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=0755,size={_SKELETON_BYTES}")
    _make_private()  # first, since some of the trees may lie in one of them
    _make_links(links, [path for path, _ in trees])
    for path, tree in trees:
        _attach(tree, path)
    _make_devices(devices)
    _make_proc(has_own="pid" in plan.layers)
    _make_files(plan.files)
    _hide(hidden)
    _enter_root()
    try:
        os.chdir(folder)
    except OSError:
        os.chdir("/")


def resolve_outside(path: str, links: dict[str, str]) -> str | None:
    """Return where an absolute path leads to in the present root, or None when there is nothing.

    Args:
        path: the path.
        links: takes up the symbolic links on the way, and their texts: they are needed inside too.
    """
    pending = [part for part in path.split("/") if part][::-1]
    found: dict[str, str] = {}
    current, followed = "/", 0
    while pending:
        part = pending.pop()
        if part in {".", ".."}:
            current = os.path.dirname(current) if part == ".." else current
            continue
        following = os.path.join(current, part)
        try:
            text = os.readlink(following)
        except FileNotFoundError:
            return None
        except OSError:  # no link
            current = following
            continue
        followed += 1
        if followed > _MAX_LINKS:
            return None
        found[following] = text
        current = "/" if text.startswith("/") else current
        pending += [each for each in text.split("/") if each][::-1]
    if not os.path.lexists(current):
        return None
    links.update(found)
    return current


def cover(read_only: Iterable[str], writable: Iterable[str]) -> dict[str, bool]:
    """Return which paths to mount, parents first, and whether each can be written to.

    A path below one that is mounted in the same way is there already. What is named in both ways can be written to.
    """
    wanted = dict.fromkeys(read_only, False) | dict.fromkeys(writable, True)
    mounted: dict[str, bool] = {}
    for path in sorted(wanted):  # parents sort before their children
        above = [each for each in mounted if _is_below(path, each)]
        if not above or mounted[above[-1]] != wanted[path]:
            mounted[path] = wanted[path]
    return mounted


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _clone_trees(paths: Mapping[str, bool]) -> Iterator[tuple[str, int]]:
    for path, is_writable in paths.items():
        tree = _open_tree(path)
        limits = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (0 if is_writable else _MOUNT_ATTR_RDONLY)
        _limit_mount(tree, limits)
        yield path, tree


def _make_links(links: Mapping[str, str], mounted: list[str]) -> None:
    for path, text in sorted(links.items()):
        if not any(_is_below(path, each) for each in mounted):  # there it is already
            os.makedirs(os.path.dirname(_ROOT + path), 0o755, exist_ok=True)
            try:
                os.symlink(text, _ROOT + path)
            except FileExistsError:
                pass


def _make_private() -> None:
    for path, limit_bytes in PRIVATE.items():
        os.makedirs(_ROOT + path)
        _mount("longshore", _ROOT + path, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777,size={limit_bytes}")


def _make_devices(devices: Iterable[tuple[str, int]]) -> None:
    for path, tree in devices:
        _limit_mount(tree, _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NOEXEC)
        _attach(tree, path)
    for name, text in _DEVICE_LINKS.items():
        os.symlink(text, f"{_ROOT}/dev/{name}")
    os.mkdir(f"{_ROOT}/dev/pts")
    try:
        options = "newinstance,ptmxmode=0666,mode=0620"
        _mount("devpts", f"{_ROOT}/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, options)
    except OSError:
        pass  # some containers refuse; only programs that make a terminal miss it


def _make_proc(*, has_own: bool) -> None:
    """Read-only, since the user 0 may write to ``/proc/sys`` without any capability, and that holds for all."""
    path = f"{_ROOT}/proc"
    os.mkdir(path)
    if has_own:
        _mount("proc", path, "proc", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    else:
        _attach_read_only("/proc", "/proc")
    _hide(_of_the_machine())


def _of_the_machine() -> list[str]:
    """Return files of ``/proc`` that tell of the whole machine what not everybody may know.

    The kernel asks for no capability where the owner reads them, and the user 0 of a jail is the owner. The keys are
    those of the account, outside too.
    """
    found = ["/proc/keys"]
    if os.geteuid() == 0:
        with os.scandir(f"{_ROOT}/proc") as entries:
            plain = [each for each in entries if not each.name.isdigit() and each.is_file(follow_symlinks=False)]
        found += [f"/proc/{each.name}" for each in plain if not each.stat().st_mode & stat.S_IROTH]
    return found


def _make_files(files: Iterable[JailFile]) -> None:
    """Write the plan's own files; one that is to hide a file of a mounted tree is mounted over that."""
    for file in files:
        target = _ROOT + file.path
        if os.path.lexists(target):
            source = f"{_ROOT}/.file"
            _write_file(source, file)
            _attach_read_only(source, file.path)
            os.unlink(source)  # the mount keeps it
        else:
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            _write_file(target, file)


def _write_file(path: str, file: JailFile) -> None:
    Path(path).write_text(file.text, encoding="utf-8")
    os.chmod(path, file.mode)


def _hide(paths: Iterable[str]) -> None:
    """Mount something empty over each path."""
    folder, file = f"{_ROOT}/.folder", JailFile(path="/.file", text="", mode=0o444)
    os.mkdir(folder, 0o555)
    _write_file(_ROOT + file.path, file)
    for path in paths:
        if os.path.isdir(_ROOT + path):
            _attach_read_only(folder, path)
        elif os.path.lexists(_ROOT + path):
            _attach_read_only(_ROOT + file.path, path)
    os.rmdir(folder)  # the mounts keep both
    os.unlink(_ROOT + file.path)


def _attach_read_only(source: str, path: str) -> None:
    tree = _open_tree(source)
    _limit_mount(tree, _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV)
    _attach(tree, path)


def _enter_root() -> None:
    os.chdir(_ROOT)
    here = ctypes.create_string_buffer(b".")
    # The old root comes to lie over the new one, and is taken off.
    syscall("pivot_root", ctypes.addressof(here), ctypes.addressof(here))
    call_libc("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    _limit_mount(None, _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if each is None else os.fsencode(each) for each in (source, target, kind, options)]
    call_libc("mount", texts[0], texts[1], texts[2], flags, texts[3])


def _open_tree(path: str) -> int:
    """Return a descriptor of a copy of the mounts at ``path`` and below, attached to nothing."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    return syscall("open_tree", _AT_FDCWD, ctypes.addressof(buffer), flags)


def _attach(tree: int, path: str) -> None:
    """Mount a copy at ``path`` of the new root; the descriptor is closed."""
    target = _ROOT + path
    try:
        _make_place(tree, target)
        empty, buffer = ctypes.create_string_buffer(b""), ctypes.create_string_buffer(os.fsencode(target))
        arguments = (tree, ctypes.addressof(empty), _AT_FDCWD, ctypes.addressof(buffer), _MOVE_MOUNT_F_EMPTY_PATH)
        syscall("move_mount", *arguments)
    finally:
        os.close(tree)


def _make_place(tree: int, target: str) -> None:
    if os.path.lexists(target):
        return
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        os.makedirs(target, 0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o444))


def _limit_mount(tree: int | None, attributes: int) -> None:
    """Set attributes of a tree and of every mount in it; None: of the root alone."""
    attr = ctypes.create_string_buffer(struct.pack("=4Q", attributes, 0, 0, 0), 32)
    path = ctypes.create_string_buffer(b"/" if tree is None else b"")
    fd, flags = (_AT_FDCWD, 0) if tree is None else (tree, _AT_EMPTY_PATH | _AT_RECURSIVE)
    syscall("mount_setattr", fd, ctypes.addressof(path), flags, ctypes.addressof(attr), 32)
