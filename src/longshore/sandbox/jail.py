"""A worker's jail, put up from inside: first by the jail's first process, then by the worker itself (Linux).

Each step is taken only when its layer is in the plan. Rules that must not be broken:

1. What needs a capability is done by the first process, before the worker exists; the worker is born with none.
2. The filter comes last: from then on, making a socket waits for the egress process.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.proto.ipc.egress import Jailed
from longshore.proto.ipc.frames import make_frame
from longshore.sandbox.inside_sockets import inside_pair
from longshore.sandbox.landlock import landlock_abi, restrict, visible_parts
from longshore.sandbox.limits import set_limits
from longshore.sandbox.mounts import PRIVATE, build_root
from longshore.sandbox.namespaces import forbid_nested_namespaces, map_identity, set_hostname
from longshore.sandbox.network import name_server_sockets, set_up_loopback
from longshore.sandbox.privileges import (
    die_with_parent,
    drop_capabilities,
    forbid_new_privileges,
    leave_keyrings,
    set_dumpable,
)
from longshore.sandbox.seccomp import install_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.proto.ipc.jail import JailPlan

__all__ = ["Inside", "Jail", "JailError", "enter_jail", "set_up_jail"]

# Where a worker shares the view of files: what stands in for the plan's own files.
_HARMLESS: Final = tuple(f"/etc/{name}" for name in ("group", "hosts", "nsswitch.conf", "passwd", "resolv.conf"))


class JailError(Exception):
    """A step failed, so that there is no jail; says which and why."""


@dataclass(slots=True)
class Jail:
    """What the first process has made for the worker."""

    inside: Inside | None = None
    """None: the worker has no network namespace."""
    private: str | None = None
    """A private folder in a view of files that is shared; to be removed at the end."""


class Inside:
    """The sockets of the worker's network namespace that others use."""

    def __init__(self) -> None:
        self.udp, self.tcp = name_server_sockets()
        self.mine, self.theirs = inside_pair()

    def close_theirs(self) -> None:
        """Close what the egress process has got."""
        for sock in (self.udp, self.tcp, self.theirs):
            sock.close()


def set_up_jail(plan: JailPlan, ids: tuple[int, int]) -> Jail:
    """Make the namespaces of the caller, which were just created with it, into a jail; give up all capabilities.

    Args:
        plan: the jail.
        ids: effective user and group of the caller, outside.

    Raises:
        JailError: it cannot be done.
    """
    layers, jail = plan.layers, Jail()
    if "user" in layers:
        with _step("map the account into a user namespace"):
            map_identity(*ids)
        forbid_nested_namespaces()
    if "uts" in layers:
        with _step("set the host name"):
            set_hostname(plan.hostname)
    if "network" in layers:
        with _step("set up the network namespace"):
            set_up_loopback()
            jail.inside = Inside()
    if "mount" in layers:
        with _step("set up the files"):
            build_root(plan)
    elif "landlock-files" in layers:
        with _step("make a private folder"):
            jail.private = tempfile.mkdtemp(prefix="longshore-")
    leave_keyrings()
    if "capabilities" in layers:
        with _step("drop capabilities"):
            drop_capabilities()
    set_dumpable(is_dumpable=False)
    return jail


def enter_jail(plan: JailPlan, jail: Jail, egress: socket.socket | None, parent_pid: int) -> None:
    """Shut the caller, a child of the jail's first process, into the jail; its environment is the plan's then.

    Raises:
        JailError: it cannot be done.
    """
    die_with_parent()
    if os.getppid() != parent_pid:
        os._exit(0)
    set_dumpable(is_dumpable=True)  # the egress process takes duplicates of descriptors
    os.environ.clear()
    os.environ.update(plan.environment)
    if jail.private is not None:
        os.environ.update(dict.fromkeys(("HOME", "TMPDIR"), jail.private))
    tempfile.tempdir = None  # what was found outside
    time.tzset()
    if "limits" in plan.layers:
        with _step("set limits"):
            set_limits(plan)
    if "no-new-privileges" in plan.layers:
        with _step("give up setuid programs"):
            forbid_new_privileges()
        with _step("set up Landlock"):
            _restrict(plan, jail.private)
    if jail.inside is not None and egress is not None:
        _hand_over(plan, jail.inside, egress)


def _restrict(plan: JailPlan, private: str | None) -> None:
    """Without a view of its own, the worker gets what the plan makes visible of the one there is."""
    if private is None:
        readable, writable = ["/"], [*PRIVATE, "/dev/pts"]
    else:
        visible = [*plan.read_only, "/proc", *_HARMLESS]
        readable, writable = [part for path in visible for part in visible_parts(path, plan.hidden)], [private]
    layers, abi = plan.layers, landlock_abi()
    restrict(layers, abi, readable=readable, writable=[*plan.writable, *writable], devices=["/dev"])


def _hand_over(plan: JailPlan, inside: Inside, egress: socket.socket) -> None:
    fds = [inside.udp.fileno(), inside.tcp.fileno(), inside.theirs.fileno()]
    if "seccomp" in plan.layers:
        with _step("install the filter of system calls"):
            listener = install_filter()
    else:
        listener = -1
    try:
        told = [listener, *fds] if listener >= 0 else []
        jailed = Jailed(pid=os.getpid(), is_tcp_locked={"landlock-tcp", "no-new-privileges"} <= set(plan.layers))
        frame = make_frame(jailed, len(told))
        sent = socket.send_fds(egress, [frame], told)
        egress.sendall(frame[sent:])
    except (BrokenPipeError, ConnectionResetError):
        pass  # the egress process is gone, so the host is about to replace all workers
    finally:
        if listener >= 0:
            os.close(listener)
        inside.close_theirs()
        inside.mine.close()


@contextmanager
def _step(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise JailError(f"cannot {what}: {exc}") from exc
