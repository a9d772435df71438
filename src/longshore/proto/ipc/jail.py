"""``JailPlan``: what a worker process is put into before any code of a user runs (PURE values).

Made by the host (``longshore.runtime.host.jail``), sent to the zygote with ``Fork``, carried out by
``longshore.sandbox.jail``. It holds no secret.
"""

from __future__ import annotations

import msgspec

__all__ = ["JailFile", "JailPlan"]


class JailFile(msgspec.Struct, frozen=True, kw_only=True):
    """A small file that exists inside only, or hides the one at its place."""

    path: str
    """Absolute, as the worker sees it."""
    text: str
    mode: int = 0o644


class JailPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's jail.

    A layer that is not named in ``layers`` is not put up: the host has probed the system and decided
    (``isolation = "auto"``), or refused to start (``"required"``).
    """

    layers: tuple[str, ...]
    """Names of ``longshore.sandbox.layers``: ``"user"``, ``"mount"``, ``"network"``, ``"pid"``, ``"ipc"``, ``"uts"``,
    ``"landlock-files"``, ``"landlock-tcp"``, ``"landlock-scope"``, ``"seccomp"``, ``"no-new-privileges"``,
    ``"capabilities"``, ``"limits"``, ``"cgroup"``."""
    hostname: str = "worker"
    read_only: tuple[str, ...] = ()
    """Absolute paths that are visible, and cannot be changed; one that does not exist is passed over."""
    writable: tuple[str, ...] = ()
    """Absolute paths that are visible and can be changed. ``/tmp`` is private and writable always."""
    hidden: tuple[str, ...] = ()
    """Absolute paths inside the visible ones that are not to be seen: a file is empty, a folder too."""
    files: tuple[JailFile, ...] = ()
    """``/etc/hosts``, ``/etc/resolv.conf`` and their like."""
    environment: dict[str, str] = {}
    """The whole environment of the worker."""
    cgroups: dict[str, str] = {}
    """The folders below which the worker's own control groups are made, by what they can bound: ``"memory"``,
    ``"pids"``, ``"cpu"``. What is missing cannot be bounded here."""
    memory_bytes: int | None = None
    """Of all processes of the worker together where there is a control group, of each one otherwise."""
    processes: int | None = None
    """How many processes and threads the worker may have."""
    open_files: int | None = None
    cpu_cores: float | None = None
    """How many cores' time it may use, 0.5 for half of one; needs a control group."""
