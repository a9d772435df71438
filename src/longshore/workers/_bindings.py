"""Makes the ``Env`` of a worker from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.workers._egress import Egress
from longshore.workers._env import Env
from longshore.workers._hyperdrive import Hyperdrive
from longshore.workers._json_values import as_json_value
from longshore.workers._mtls import MtlsCertificate

if TYPE_CHECKING:
    from longshore.config.model import HyperdriveBinding, WorkerConfig

__all__ = ["build_env", "database"]


def database(binding: HyperdriveBinding) -> Hyperdrive:
    """Return a database as a worker sees it.

    Raises:
        ArgumentValueError: its connection string is no URL of one.
    """
    return Hyperdrive(binding.connection_string, name=binding.binding, is_private=binding.is_private)


def build_env(config: WorkerConfig) -> Env:
    """Return the bindings that ``config`` declares.

    A secret wins over a variable of its name, as ``.dev.vars`` does in wrangler; what connects over both.

    Raises:
        ArgumentValueError: the connection string of a database is no URL of one.
    """
    values: dict[str, Any] = {name: as_json_value(value) for name, value in config.vars.items()}
    values.update(config.secrets)
    values.update((each.binding, database(each)) for each in config.hyperdrive)
    values.update((each.binding, Egress(each)) for each in config.egress)
    values.update((each.binding, MtlsCertificate(each.binding)) for each in config.mtls_certificates)
    return Env(values, secrets=config.secrets, unavailable=config.unavailable)
