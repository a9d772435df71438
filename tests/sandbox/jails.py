"""Jails for tests: a few lines are run in a worker's place, by a process of their own that plays zygote and host."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from longshore.proto.ipc.jail import JailFile, JailPlan
from longshore.sandbox.layers import LAYERS
from longshore.sandbox.probe import probe_layers
from tests.system import is_ci

if TYPE_CHECKING:
    from longshore.sandbox.layers import Layers

__all__ = ["NOBODY", "Ended", "jail_plan", "needs_layers", "run_in_jail"]

NOBODY = 65534

PROGRAM = """
import ctypes, encodings.idna, errno, json, os, resource, signal, socket, subprocess, sys, traceback
import msgspec
from longshore.net.channel import SyncChannel
from longshore.proto.ipc.jail import JailPlan
from longshore.sandbox.fork import fork_jailed
from longshore.sandbox.inside_sockets import InsideSockets
from longshore.sandbox.privileges import set_dumpable

text, uid = sys.argv[1:]
if int(uid):
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    set_dumpable(is_dumpable=True)
plan = msgspec.json.decode(text, type=JailPlan)
host, control = socket.socketpair()
broker, egress = socket.socketpair()

def worker(tell):
{worker}

def outside(pid, broker, message, fds, told):
{outside}

pid = fork_jailed(plan, egress, control)
if pid == 0:
    host.close()
    broker.close()
    try:
        worker(lambda value: control.sendall(json.dumps(value).encode() + b"\\n"))
    except BaseException:
        traceback.print_exc()
        os._exit(99)
    os._exit(0)
control.close()
egress.close()
message, fds = SyncChannel(broker).receive() or (None, [])
lines = host.makefile("rb")
def told():
    return json.loads(lines.readline())
seen = outside(pid, broker, message, fds, told)
for fd in fds:
    os.close(fd)
rest = lines.read()
_, status = os.waitpid(pid, 0)
print(json.dumps({{
    "said": rest.decode("latin-1"),
    "seen": seen,
    "handed": None if message is None else len(fds),
    "code": os.waitstatus_to_exitcode(status),
}}))
"""


@dataclass(frozen=True)
class Ended:
    """What became of a jail."""

    text: str
    """All that was sent on the control channel and not read outside."""
    seen: Any
    """What the part outside returned."""
    handed: int | None
    """How many descriptors came with ``Jailed``; None when that did not come."""
    code: int

    @property
    def said(self) -> Any:
        """What the worker told, if it told one thing."""
        return json.loads(self.text)


def jail_plan(*left_out: str, **changes: Any) -> JailPlan:
    """Return a plan with every layer but these, and the filter, which would need somebody who answers."""
    layers = tuple(each.name for each in LAYERS if each.name not in {"seccomp", *left_out})
    given: dict[str, Any] = {
        "layers": layers,
        "hostname": "hello",
        "read_only": ("/usr", "/bin", "/sbin", "/lib", "/lib64", sys.base_prefix, sys.prefix),
        "files": (
            JailFile(path="/etc/resolv.conf", text="nameserver 127.0.0.1\n"),
            JailFile(path="/etc/hosts", text="127.0.0.1 localhost\n"),
        ),
        "environment": {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"},
    }
    return JailPlan(**given | changes)


def run_in_jail(plan: JailPlan, worker: str, outside: str = "return None", *, uid: int = 0) -> Ended:
    """Run lines in a jail, and lines of its host, and tell how it ended.

    Args:
        plan: the jail.
        worker: lines that may call ``tell`` with what JSON can hold.
        outside: lines that have ``pid`` (of the jail's first process), ``broker`` (the socket), ``message`` and ``fds``
            (the first message), and ``told()`` for the next thing that the worker tells; may return what JSON can hold.
        uid: the account that has the jail made; 0: the one of the tests.
    """
    parts = {
        name: textwrap.indent(textwrap.dedent(text).strip(), "    ")
        for name, text in (("worker", worker), ("outside", outside))
    }
    command = [sys.executable, "-P", "-c", PROGRAM.format(**parts), msgspec.json.encode(plan).decode(), str(uid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["code"] != 99, done.stderr
    return Ended(answer["said"], answer["seen"], answer["handed"], answer["code"])


@functools.cache
def system_layers() -> Layers:
    """Return what this system has."""
    return probe_layers()


def needs_layers(*names: str) -> None:
    """Skip the calling test where a layer is missing; in CI, on Linux, fail it."""
    missing = [name for name in names if name not in system_layers().available]
    if missing:
        reasons = system_layers().reasons
        text = "; ".join(f"{name}: {reasons.get(name, 'not there')}" for name in missing)
        if is_ci() and sys.platform == "linux":
            pytest.fail(text, pytrace=False)
        pytest.skip(text)
