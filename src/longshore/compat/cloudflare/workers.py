"""``cloudflare.workers``: the names of ``cloudflare:workers`` for code that imports them as a Python module."""

from __future__ import annotations

from longshore.workers._context import wait_until, waitUntil
from longshore.workers._entrypoint import DurableObject, WorkerEntrypoint, WorkflowEntrypoint
from longshore.workers._env import env, with_env

__all__ = ["DurableObject", "WorkerEntrypoint", "WorkflowEntrypoint", "env", "waitUntil", "wait_until", "with_env"]
