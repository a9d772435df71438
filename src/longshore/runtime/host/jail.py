"""``make_plan``: the jail of a worker, from its configuration and what the system has (PURE).

What a worker sees of the files of the system is listed here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.egress.names import names_of
from longshore.proto.ipc.jail import JailFile, JailPlan
from longshore.runtime.host.environment import as_json, harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.config.model import WorkerConfig
    from longshore.core.host_syntax import IpAddress
    from longshore.sandbox.layers import Layers

__all__ = ["SYSTEM_PATHS", "Surroundings", "make_plan"]

SYSTEM_PATHS: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/sys/devices/system/cpu",
)
"""What programs need of the system: code, certificates, time zones; none of it is secret."""

_HOME: Final = "/tmp"  # noqa: S108 - the private one, the only folder that every worker can write to
_NAME_SERVICE = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
_RESOLVER = "nameserver 127.0.0.1\noptions edns0\n"
_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t{hostname}\n"
_LONGEST_HOSTNAME: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the host knows of its system, its interpreter and the worker's project when a plan is made."""

    interpreter: tuple[str, ...]
    """Folders of the interpreter and of ``sys.path``."""
    user: str
    """Name of the account."""
    uid: int
    gid: int
    secrets: tuple[str, ...] = ()
    """Files and folders below the project that hold secrets."""
    cgroups: Mapping[str, str]
    """As ``JailPlan.cgroups``."""
    variables: Mapping[str, str]
    """The environment of the host."""


def make_plan(config: WorkerConfig, layers: Layers, surroundings: Surroundings) -> JailPlan:
    """Return the jail of a worker.

    Args:
        config: the worker's configuration; its ``sandbox.isolation`` is not ``"off"``.
        layers: what the system has.
        surroundings: what else there is.
    """
    sandbox = config.sandbox
    hostname = _hostname(config.name)
    return JailPlan(
        layers=tuple(each.name for each in layers.in_force(sandbox.isolation)),
        hostname=hostname,
        read_only=_distinct(
            (*SYSTEM_PATHS, *surroundings.interpreter, config.project_dir, config.module_root, *sandbox.read)
        ),
        writable=_distinct(sandbox.write),
        hidden=_distinct(surroundings.secrets if config.file is None else (config.file, *surroundings.secrets)),
        files=_files(hostname, surroundings, names_of(config).bindings()),
        environment=_environment(config, surroundings),
        cgroups=dict(surroundings.cgroups),
        memory_bytes=sandbox.memory_bytes,
        processes=sandbox.processes,
        open_files=sandbox.open_files,
        cpu_cores=sandbox.cpu_cores,
    )


def _files(hostname: str, around: Surroundings, bindings: Mapping[str, IpAddress]) -> tuple[JailFile, ...]:
    """Return files of ``/etc`` with nothing in them that a worker need not know, like the other accounts.

    The private names of bindings stand in ``hosts``: drivers that connect for each request look them up each time.
    """
    private = "".join(f"{ip}\t{name}\n" for name, ip in bindings.items())
    passwd = f"{around.user}:x:{around.uid}:{around.gid}::{_HOME}:/bin/sh\n"
    group = f"{around.user}:x:{around.gid}:\n"
    texts = {
        "hostname": f"{hostname}\n",
        "hosts": _HOSTS.format(hostname=hostname) + private,
        "resolv.conf": _RESOLVER,
        "nsswitch.conf": _NAME_SERVICE,
        "passwd": passwd if around.uid == 0 else f"root:x:0:0::/:/bin/sh\n{passwd}",
        "group": group if around.gid == 0 else f"root:x:0:\n{group}",
    }
    return tuple(JailFile(path=f"/etc/{name}", text=text) for name, text in texts.items())


def _environment(config: WorkerConfig, around: Surroundings) -> dict[str, str]:
    variables = as_json(harmless(around.variables, config.sandbox.environment))
    # Where the account has its home is nothing to be seen, and a temporary folder may be anywhere outside.
    return variables | {"HOME": _HOME, "TMPDIR": _HOME}


def _hostname(name: str) -> str:
    allowed = "".join(each if each.isascii() and (each.isalnum() or each == "-") else "-" for each in name)
    return allowed[:_LONGEST_HOSTNAME].strip("-") or "worker"


def _distinct(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path not in {"", "/"}))
