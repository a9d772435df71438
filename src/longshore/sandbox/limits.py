"""Bounds that hold for a process and what comes of it (``setrlimit``)."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.proto.ipc.jail import JailPlan

__all__ = ["set_limits"]


def set_limits(plan: JailPlan) -> None:
    """Set the bounds of a plan for the caller; a bound that is narrower already stays."""
    _lower(resource.RLIMIT_CORE, 0)
    if plan.open_files is not None:
        _lower(resource.RLIMIT_NOFILE, plan.open_files)
    if plan.processes is not None and "user" in plan.layers:
        # The kernel counts for each user in each user namespace. Without one, all of the account's processes would
        # count. Of the user 0 outside it counts none: there the control group holds.
        _lower(resource.RLIMIT_NPROC, plan.processes)
    if plan.memory_bytes is not None and not ("cgroup" in plan.layers and "memory" in plan.cgroups):
        _lower(resource.RLIMIT_DATA, plan.memory_bytes)


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    new = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (new, new))
