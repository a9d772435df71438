"""The layers of the sandbox, and what ``isolation`` makes of those that a system has (PURE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LAYERS", "Layer", "Layers"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing that keeps a worker in."""

    name: str
    keeps: str
    """What it is for, in a few words: shown where it is in force."""
    lost: str
    """What a worker can do without it: shown where it is missing."""
    is_essential: bool = True
    """False: ``isolation = "required"`` starts without it."""


LAYERS: Final[tuple[Layer, ...]] = (
    Layer("user", "a user namespace: no capability outside", "nothing can be shut off without root"),
    Layer("mount", "its own files only", "it reads what the account reads"),
    Layer("network", "an empty network", "its drivers connect wherever they like"),
    Layer("pid", "its own processes only", "it sees the processes of the account"),
    Layer("ipc", "its own System V IPC", "it shares System V IPC with the machine"),
    Layer("uts", "its own host name", "it sees the machine's host name", is_essential=False),
    Layer("landlock-files", "a second lock on files", "one lock less on files"),
    Layer(
        "landlock-tcp", "a second lock on TCP", "a race against the check of Unix sockets is answered by slower means"
    ),
    Layer("landlock-scope", "signals and abstract sockets stay inside", "one lock less on signals", is_essential=False),
    Layer("seccomp", "every connect(2) is judged", "its drivers connect wherever they like"),
    Layer("no-new-privileges", "setuid programs gain nothing", "setuid programs work"),
    Layer("capabilities", "no capability inside", "it may rearrange its own namespaces"),
    Layer("limits", "bounds for descriptors and processes", "it can use up descriptors"),
    Layer(
        "cgroup", "bounds for memory, processes and CPU", "bounds for memory hold for each process", is_essential=False
    ),
)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What a system has, found out by ``longshore.sandbox.probe``."""

    available: frozenset[str]
    """Names."""
    reasons: Mapping[str, str]
    """Why each of the others is missing, in words that say what to do where something can be done."""
    landlock_abi: int = 0

    def in_force(self, isolation: str) -> tuple[Layer, ...]:
        """Return what a worker is put into; nothing when ``isolation`` is ``"off"``."""
        return () if isolation == "off" else tuple(each for each in LAYERS if each.name in self.available)

    def missing(self) -> tuple[Layer, ...]:
        """Return what this system does not have."""
        return tuple(each for each in LAYERS if each.name not in self.available)

    def lacking(self) -> tuple[Layer, ...]:
        """Return what ``isolation = "required"`` cannot do without and is not there."""
        return tuple(each for each in self.missing() if each.is_essential)
