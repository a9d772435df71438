"""The resolved configuration of one worker: what every other part reads (PURE values).

Made by ``longshore.config.load``; travels as JSON to the worker process, secrets included, over its control channel
and never through arguments or the environment.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "DevSettings",
    "HyperdriveBinding",
    "NetworkRules",
    "Notice",
    "ServeSettings",
    "WorkerConfig",
]


class NetworkRules(msgspec.Struct, frozen=True, kw_only=True):
    """Where ``connect()`` and ``fetch()`` of the worker may go: workerd's names and meaning (``longshore.policy``)."""

    allow: tuple[str, ...] = ("public",)
    deny: tuple[str, ...] = ()


class HyperdriveBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A database: ``env.<binding>`` has ``connection_string``, and its parts under their names."""

    binding: str
    connection_string: str
    """``postgres://``, ``postgresql://`` or ``mysql://`` URL; it is a secret, for it holds the password."""


class DevSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[dev]`` section: where ``longshore dev`` listens."""

    ip: str = "localhost"
    port: int = 8787


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[serve]`` section (ours): how ``longshore serve`` runs."""

    host: str = "127.0.0.1"
    port: int = 8787
    workers: int = 1
    drain_timeout_s: float = 30.0
    """How long requests in flight, and then ``wait_until`` work, may still take after SIGTERM."""
    boot_timeout_s: float = 30.0
    disconnect_grace_s: float = 0.0
    """How long a handler may go on after its client left, before it is cancelled."""
    body_timeout_s: float = 60.0
    """How long nothing of a request body may come while the handler waits for it; 0 is without a limit."""
    log_format: str = "text"
    """``"text"`` or ``"json"``."""
    log_requests: bool = True


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the file that a person should know: a key of wrangler's that has no effect here, and the like."""

    key_path: str
    message: str
    line: int | None = None
    is_minor: bool = False
    """True when it changes nothing about what the worker can do: then only ``longshore check`` says it."""


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, with the chosen ``env.<name>`` section merged in and every path made absolute."""

    name: str
    main: str
    """Absolute path of the main module's file, or ``"module:attribute"`` for an ASGI or WSGI application."""
    module_root: str
    """Absolute folder that is put on ``sys.path``: the folder of ``main``."""
    project_dir: str
    """Absolute folder of the configuration file."""
    file: str | None = None
    """Absolute path of the configuration file; None when there is none."""
    environment: str | None = None
    """The ``env.<name>`` section in force."""
    compatibility_date: str | None = None
    compatibility_flags: tuple[str, ...] = ()
    vars: dict[str, Any] = {}
    """Plain values for ``env``: text, numbers, booleans, lists, objects."""
    secrets: dict[str, str] = {}
    """From ``.dev.vars`` and its like; shown nowhere."""
    hyperdrive: tuple[HyperdriveBinding, ...] = ()
    crons: tuple[str, ...] = ()
    network: NetworkRules = NetworkRules()
    dev: DevSettings = DevSettings()
    serve: ServeSettings = ServeSettings()
    watch: tuple[str, ...] = ()
    """Absolute folders that ``longshore dev`` watches: the project, without environments and caches."""
    unavailable: dict[str, str] = {}
    """Binding names that the file declares and this version does not provide, with the reason."""
    notices: tuple[Notice, ...] = ()
