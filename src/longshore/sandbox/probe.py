"""Which layers of the sandbox this system has, found out by trying each one in a process of its own (shell)."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from longshore.proto.ipc.jail import JailPlan
from longshore.sandbox.cgroup import find_groups
from longshore.sandbox.kernel import is_supported, syscall
from longshore.sandbox.landlock import MINIMUM_ABI, landlock_abi, restrict
from longshore.sandbox.layers import LAYERS, Layers
from longshore.sandbox.mounts import build_root
from longshore.sandbox.namespaces import NAMESPACES, clone_flags, map_identity
from longshore.sandbox.network import name_server_sockets, set_up_loopback
from longshore.sandbox.privileges import drop_capabilities, forbid_new_privileges
from longshore.sandbox.seccomp import install_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ProbeError", "judge_trials", "main", "probe_layers"]

_TRIAL_TIMEOUT_S: Final = 20.0
_SHORTAGES: Final = (errno.EAGAIN, errno.ENOMEM)
"""Of processes and memory, at the moment: they say nothing about the layer."""
_TOGETHER: Final = ("mount", "network", "seccomp")
"""Connections are judged where all of these are: names are answered at an address of the worker's network, which a
file of the worker's view tells it, and its network is empty but for what the filter brings in."""
_HINTS: Final = {
    "user": (
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, on Ubuntu"
        " kernel.apparmor_restrict_unprivileged_userns=0; in a container --security-opt seccomp=unconfined), or run as"
        " root"
    ),
    "cgroup": "run as a service with Delegate=yes, or as root, where control groups can be written to",
}


class ProbeError(Exception):
    """The trials could not be made; says why. What this system has is not known, and nothing must be taken for it."""


def probe_layers() -> Layers:
    """Return what can be put up here, and why not the rest; takes some tens of milliseconds.

    May be called by a process with threads: the trials run in a new interpreter.

    Raises:
        ProbeError: the machine has too little of something just now, so that it cannot be found out.
    """
    if not is_supported():
        reason = f"needs Linux on x86-64 or aarch64; this is {platform.system()} on {platform.machine()}"
        return Layers(frozenset(), {each.name: reason for each in LAYERS})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "longshore.sandbox.probe"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_TIMEOUT_S,
            check=True,
        )
        trials: dict[str, str] = json.loads(done.stdout)
    except subprocess.CalledProcessError as exc:
        last_line = (exc.stderr.splitlines() or [str(exc)])[-1]
        raise ProbeError(f"cannot find out how far workers can be shut in here: {last_line}") from exc
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        raise ProbeError(f"cannot find out how far workers can be shut in here: {exc}") from exc
    if not find_groups():
        trials["cgroup"] = "no control group can be made below the host's own"
    return judge_trials(trials, landlock_abi())


def judge_trials(trials: Mapping[str, str], abi: int) -> Layers:
    """Return what follows from the trials (no I/O).

    Args:
        trials: why each layer that failed did; those that worked are not in it.
        abi: the version of Landlock.
    """
    reasons = {name: _advised(name, reason) for name, reason in trials.items()}
    lacking = [name for name in _TOGETHER if name in reasons]
    if lacking:
        for name in (*_TOGETHER, "landlock-tcp"):
            reasons.setdefault(name, f"of no use without {lacking[0]}")
    return Layers(frozenset(each.name for each in LAYERS if each.name not in reasons), reasons, abi)


def main() -> int:
    """Try every layer and print, as JSON, why each of those that failed did."""
    json.dump(_try_all(), sys.stdout)
    return 0


def _try_all() -> dict[str, str]:
    failed: dict[str, str] = {}
    base = () if os.geteuid() == 0 else ("user",)
    if reason := _trial(("user",), lambda: None):
        failed["user"] = reason
    else:
        base = ("user",)
    for name, attempt in _NAMESPACE_TRIALS.items():
        needed = ("mount",) if name == "pid" else ()
        layers = tuple(each for each in NAMESPACES if each in {*base, *needed, name})
        if reason := _trial(layers, attempt):
            failed[name] = reason
    for name, attempt in _PLAIN_TRIALS.items():
        if reason := _trial((), attempt):
            failed[name] = reason
    return failed


def _trial(layers: tuple[str, ...], attempt: Callable[[], object]) -> str:
    """Try something in a new process, in new namespaces; return why it failed, empty when it did not."""
    ids = os.geteuid(), os.getegid()
    reading, writing = os.pipe()
    try:
        # This process has one thread and ends soon: a plain clone will do.
        pid = syscall("clone", clone_flags(layers) | signal.SIGCHLD)
    except OSError as exc:
        os.close(reading)
        os.close(writing)
        if exc.errno in _SHORTAGES:
            raise
        return exc.strerror or str(exc)
    if pid == 0:
        _attempt(layers, attempt, ids, writing)
    os.close(writing)
    with os.fdopen(reading, "r", encoding="utf-8", errors="replace") as answer:
        reason = answer.read()
    _, status = os.waitpid(pid, 0)
    return reason or ("" if status == 0 else f"the trial ended with status {status}")


def _attempt(layers: tuple[str, ...], attempt: Callable[[], object], ids: tuple[int, int], writing: int) -> None:
    code = 1
    try:
        if "user" in layers:
            map_identity(*ids)
        attempt()
        code = 0
    except OSError as exc:
        os.write(writing, (exc.strerror or str(exc)).encode())
    except BaseException as exc:  # noqa: BLE001 - this process must not return to its parent's stack
        os.write(writing, f"{type(exc).__name__}: {exc}".encode())
    finally:
        os._exit(code)


def _try_mounts() -> None:
    build_root(JailPlan(layers=("mount",), read_only=("/usr",)))


def _try_pid() -> None:
    build_root(JailPlan(layers=("mount", "pid"), read_only=("/usr",)))
    os.stat("/proc/1")


def _try_network() -> None:
    set_up_loopback()
    for sock in name_server_sockets():
        sock.close()


def _try_landlock(name: str) -> None:
    abi = landlock_abi()
    if abi < MINIMUM_ABI[name]:
        raise OSError(0, f"Landlock {MINIMUM_ABI[name]} is needed, this kernel has {abi or 'none'}")
    forbid_new_privileges()
    restrict((name,), abi, readable=("/",), writable=())


_NAMESPACE_TRIALS: Final[dict[str, Callable[[], object]]] = {
    "mount": _try_mounts,
    "network": _try_network,
    "pid": _try_pid,
    "ipc": lambda: None,
    "uts": lambda: None,
    "capabilities": drop_capabilities,
}
_PLAIN_TRIALS: Final[dict[str, Callable[[], object]]] = {
    "landlock-files": lambda: _try_landlock("landlock-files"),
    "landlock-tcp": lambda: _try_landlock("landlock-tcp"),
    "landlock-scope": lambda: _try_landlock("landlock-scope"),
    "seccomp": install_filter,
    "no-new-privileges": forbid_new_privileges,
}


def _advised(name: str, reason: str) -> str:
    return f"{reason}; {_HINTS[name]}" if name in _HINTS else reason


if __name__ == "__main__":
    sys.exit(main())
