"""How a host runs: what command line and configuration came to (values)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.runtime.host.lifecycle_model import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.sandbox.layers import Layers

__all__ = ["HostOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """The options of one run."""

    host: str = "localhost"
    """``"localhost"`` is both loopback addresses; ``"*"`` is every address."""
    port: int = 8787
    """0: any free one."""
    port_is_fixed: bool = True
    """False: when ``port`` is taken, one of the next free ports will do (``longshore dev`` without ``--port``)."""
    workers: int = 1
    is_dev: bool = False
    """True: error pages, and a boot failure does not end the host."""
    watch: bool = False
    """True: reload when a file below ``WorkerConfig.watch`` changes."""
    load: Callable[[], WorkerConfig] | None = None
    """Loads the configuration anew, when its file changed and at SIGHUP; raises when it is wrong (the old one stays in
    force)."""
    fires_crons: bool = True
    """True: ``triggers.crons`` fire on time. A cron can be fired by hand in any case."""
    drain_timeout_s: float = 30.0
    boot_timeout_s: float = 30.0
    log_requests: bool = True
    log_connections: bool = False
    layers: Layers | None = None
    """What of the sandbox this system has; None: find out."""
    credentials_dir: str | None = None
    """Folder of the credential store; None: the one that the environment names."""
    secret_files: tuple[str, ...] = ()
    """Absolute paths that no worker may read, although they lie in its project (``--env-file``)."""
    handle_signals: bool = True
    """SIGTERM and SIGINT stop. SIGHUP reloads, and opens the audit log anew; in development it stops. Only in the main
    thread."""

    def rules(self) -> Rules:
        """Return the numbers for the life cycle of workers."""
        return Rules(
            workers=self.workers,
            is_dev=self.is_dev,
            drain_timeout_s=self.drain_timeout_s,
            boot_timeout_s=self.boot_timeout_s,
        )
