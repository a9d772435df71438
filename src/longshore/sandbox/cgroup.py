"""Control groups of jails: bounds that hold for all processes of a worker together (Linux).

A process can be moved into a group, but on most systems the first move after a while waits for a grace period of the
kernel, some 20 ms: longer than all the rest of a worker's start. So the zygote moves itself, when it has time: it waits
in the group of its *next* child, which is born there. The bounds are set right before the birth.

Version 2 (one tree), and of version 1 ``pids`` and ``cpu``. Not version 1's ``memory``: the kernel is giving it up,
and ``RLIMIT_DATA`` does without it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.proto.ipc.jail import JailPlan

__all__ = ["CONTROLLERS", "ControlGroups", "bounds", "find_groups", "folders_of"]

CONTROLLERS: Final = ("memory", "pids", "cpu")
_OF_VERSION_1: Final = ("pids", "cpu")
_HOST = "longshore-host"
_PERIOD_US: Final = 100_000
# What counts besides the worker's processes: the jail's first one, and for a moment the zygote.
_OURS = 2


class ControlGroups:
    """The groups of one zygote's workers. What cannot be done is left undone: the other layers hold.

    Args:
        owner_pid: of the zygote, which this is part of.
    """

    def __init__(self, owner_pid: int) -> None:
        self._owner_pid = owner_pid
        self._count = 0
        self._folders: tuple[str, ...] = ()
        self._waiting: tuple[str, ...] = ()  # the groups that we are in
        self._of_workers: dict[int, tuple[str, ...]] = {}

    def enter(self, worker_id: int, plan: JailPlan) -> None:
        """Be in groups with the bounds of ``plan``, for the child that is forked next."""
        folders = tuple(sorted(set(plan.cgroups.values()))) if "cgroup" in plan.layers else ()
        if folders != self._folders:
            self._go_home()
            self._folders = folders
            _remove_orphans(folders)
        if not self._waiting:
            self._wait_in_next()
        for group in self._waiting:
            for file, text in bounds(plan):
                _write(f"{group}/{file}", text)
        self._of_workers[worker_id] = self._waiting

    def leave(self) -> None:
        """Leave the groups to the child that was born in them."""
        self._wait_in_next()

    def remove(self, worker_id: int) -> None:
        """Remove the groups of a worker that is gone, or was never born."""
        groups = self._of_workers.pop(worker_id, ())
        if groups != self._waiting:
            _remove(groups)

    def close(self) -> None:
        """Remove everything; to be called when no worker is left."""
        self._go_home()
        for worker_id in list(self._of_workers):
            self.remove(worker_id)

    def _wait_in_next(self) -> None:
        self._count += 1
        name = f"longshore-{self._owner_pid}-{self._count}"
        self._waiting = tuple(f"{folder}/{name}" for folder in self._folders)
        for group in self._waiting:
            try:
                os.mkdir(group, 0o755)
            except OSError:
                continue
            _write(f"{group}/cgroup.procs", "0")

    def _go_home(self) -> None:
        """Go back to where the host is, so that no group of ours is in use."""
        for folder in self._folders:
            if not _write(f"{folder}/{_HOST}/cgroup.procs", "0"):
                _write(f"{folder}/cgroup.procs", "0")
        waiting, self._waiting = self._waiting, ()
        _remove(waiting)


def bounds(plan: JailPlan) -> Iterator[tuple[str, str]]:
    """Return the files of a group that hold the bounds of a plan, and what to write, in the words of both versions."""
    if plan.memory_bytes is not None:
        yield "memory.max", str(plan.memory_bytes)
        yield "memory.swap.max", "0"
    if plan.processes is not None:
        yield "pids.max", str(plan.processes + _OURS)
    if plan.cpu_cores is not None:
        quota_us = round(plan.cpu_cores * _PERIOD_US)
        yield "cpu.max", f"{quota_us} {_PERIOD_US}"
        yield "cpu.cfs_period_us", str(_PERIOD_US)
        yield "cpu.cfs_quota_us", str(quota_us)


def find_groups() -> dict[str, str]:
    """Return the folders below which groups can be made, by controller; of version 2, make that possible.

    A group of version 2 passes its controllers on only when no process is in it. So this process, if it is alone there,
    moves into a group below: to be called early in the life of a host.
    """
    try:
        membership, mounts = (
            Path(f"/proc/self/{name}").read_text(encoding="utf-8") for name in ("cgroup", "mountinfo")
        )
    except OSError:
        return {}
    unified, by_controller = folders_of(membership, mounts)
    found = {name: folder for name, folder in by_controller.items() if name in _OF_VERSION_1 and _is_usable(folder)}
    if unified is not None and _is_usable(unified):
        parent = unified.removesuffix(f"/{_HOST}")
        found |= dict.fromkeys(_delegate(parent), parent)
    return found


def folders_of(membership: str, mounts: str) -> tuple[str | None, dict[str, str]]:
    """Return the folders of the groups that a process is in: of version 2, and of version 1 by controller.

    Args:
        membership: ``/proc/self/cgroup``.
        mounts: ``/proc/self/mountinfo``.
    """
    places: dict[str, tuple[str, str]] = {}  # controller, "" for version 2 -> root of the mount, mount point
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(" "), right.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            for name in [""] if kind == "cgroup2" else options.split(","):
                places.setdefault(name, (fields[3], fields[4]))
    folders = {}
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            root, place = places.get(name, ("", ""))
            if place and path.startswith(root):
                folders[name] = place + "/" + path.removeprefix(root).strip("/")
    folders = {name: folder.rstrip("/") for name, folder in folders.items()}
    return folders.pop("", None), {name: folders[name] for name in CONTROLLERS if name in folders}


def _is_usable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _delegate(folder: str) -> list[str]:
    """Let the groups below have the controllers that this one has; return them."""
    offered = _words(f"{folder}/cgroup.controllers")
    wanted = [name for name in CONTROLLERS if name in offered]
    if not wanted:
        return []
    if _words(f"{folder}/cgroup.procs") == [str(os.getpid())]:
        try:
            os.mkdir(f"{folder}/{_HOST}", 0o755)
        except FileExistsError:
            pass
        except OSError:
            return []
        _write(f"{folder}/{_HOST}/cgroup.procs", "0")
    _write(f"{folder}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
    return [name for name in wanted if name in _words(f"{folder}/cgroup.subtree_control")]


def _words(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").split()
    except OSError:
        return []


def _write(path: str, text: str) -> bool:
    """Write to a file of the kernel's; False when there is none, or the kernel does not want it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _remove(groups: tuple[str, ...]) -> None:
    for group in groups:
        try:
            os.rmdir(group)
        except OSError:
            pass


def _remove_orphans(folders: tuple[str, ...]) -> None:
    """Remove the empty groups of zygotes that were killed."""
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(r"longshore-(\d+)-\d+", name)
            if match is not None and not os.path.exists(f"/proc/{match[1]}"):
                _remove((f"{folder}/{name}",))
