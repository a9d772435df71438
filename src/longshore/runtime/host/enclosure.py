"""``Enclosure``: how far the workers of one host are shut in.

What the system has is found out once, when it is first of interest; what a configuration asks for can change with every
reload.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from longshore.config.secrets import HYPERDRIVE_VARIABLES
from longshore.runtime.host.environment import as_json, harmless
from longshore.runtime.host.events import Enclosed
from longshore.runtime.host.jail import make_plan
from longshore.runtime.host.surroundings import look_around
from longshore.sandbox.cgroup import find_groups
from longshore.sandbox.probe import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.jail import JailPlan
    from longshore.sandbox.layers import Layers

__all__ = ["Enclosure"]


class Enclosure:
    """What this system has, against what configurations ask for.

    Args:
        find_layers: finds out what the system has; called once at most, and not while isolation is off.
        variables: the environment of the host.
        hidden: files and folders with secrets that no worker may see.
    """

    def __init__(
        self, find_layers: Callable[[], Layers], variables: Mapping[str, str], hidden: Iterable[str] = ()
    ) -> None:
        self._find_layers = find_layers
        self._variables = variables
        self._hidden = tuple(hidden)

    @cached_property
    def _layers(self) -> Layers:
        return self._find_layers()

    def refusal(self, config: WorkerConfig) -> str:
        """Return why a configuration cannot be run on this system; empty when it can."""
        if config.sandbox.isolation != "off" and "/" in {config.project_dir, config.module_root}:
            return "the project lies in '/', and no worker may see all of that: give it a folder of its own"
        if config.sandbox.isolation != "off":
            try:
                _ = self._layers
            except ProbeError as exc:
                return str(exc)
        lacking = self._layers.lacking() if config.sandbox.isolation == "required" else ()
        if not lacking:
            return ""
        missing = "; ".join(f"{each.name} ({self._layers.reasons.get(each.name, 'not there')})" for each in lacking)
        return f"isolation is 'required', and this system lacks {missing}"

    def described(self, config: WorkerConfig) -> Enclosed:
        """Return what is said about it at the start."""
        isolation = config.sandbox.isolation
        if isolation == "off":
            return Enclosed(isolation, (), ())
        missing = self._layers.missing()
        return Enclosed(
            isolation=isolation,
            in_force=tuple(each.name for each in self._layers.in_force(isolation)),
            missing=tuple((each.name, self._layers.reasons.get(each.name, ""), each.lost) for each in missing),
        )

    def jail(self, config: WorkerConfig) -> JailPlan | None:
        """Return what a worker is put into; None: nothing. The files that are hidden are those there are now."""
        isolation = config.sandbox.isolation
        if isolation == "off" or not self._layers.in_force(isolation):
            return None
        around = look_around(config, cgroups=self._cgroups, variables=self._variables, hidden=self._hidden)
        return make_plan(config, self._layers, around)

    @cached_property
    def _cgroups(self) -> dict[str, str]:
        return find_groups()

    def zygote_environment(self) -> dict[str, str]:
        """Return the environment of the zygote, whose memory every worker can read."""
        return harmless(self._variables)

    def worker_environment(self, config: WorkerConfig) -> dict[str, str] | None:
        """Return the environment of a worker without a jail; None: the zygote's."""
        if config.sandbox.isolation == "off":
            # All but the databases of the configuration, which are the pool's to log in to.
            known = self._variables.items()
            return as_json({name: text for name, text in known if not name.startswith(HYPERDRIVE_VARIABLES)})
        return as_json(harmless(self._variables, config.sandbox.environment))
