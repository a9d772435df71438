"""The resolved configuration of one worker: what every other part reads (PURE values).

Made by ``longshore.config.load``; travels as JSON to the worker process, secrets included, over its control channel
and never through arguments or the environment.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "DevSettings",
    "EgressBinding",
    "EgressLimits",
    "HyperdriveBinding",
    "HyperdriveCaching",
    "HyperdriveTls",
    "MtlsBinding",
    "NetworkRules",
    "Notice",
    "SandboxSettings",
    "ServeSettings",
    "TlsSettings",
    "WorkerConfig",
]


class EgressLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``[network.limits]``: how much a worker process may use of the network; None is without a limit.

    A dial beyond ``open_sockets``, ``dials_per_s`` or ``request_open_sockets`` waits, at most ``queue_timeout_s``. What
    cannot get better by waiting fails at once. The limits of a request hold for what is known to be its doing:
    ``connect()``, ``fetch()`` and bindings.
    """

    open_sockets: int | None = None
    dials_per_s: float | None = None
    bytes: int | None = None
    """Sent and received together, in the life of the process."""
    request_open_sockets: int | None = None
    request_dials: int | None = None
    request_bytes: int | None = None
    queue_timeout_s: float = 10.0


class NetworkRules(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker may connect to: workerd's names and meaning (``longshore.policy``)."""

    allow: tuple[str, ...] = ("public",)
    deny: tuple[str, ...] = ()
    hosts: dict[str, tuple[str, ...]] = {}
    """Addresses of names, instead of what the system's name service says; every one of them is judged by the rules."""
    limits: EgressLimits = EgressLimits()


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[tls]``: holds for every TLS connection that ``connect()`` and ``fetch()`` make themselves."""

    ca: tuple[str, ...] = ()
    """Names of CA bundles in the credential store, trusted besides the system's."""


class EgressBinding(msgspec.Struct, frozen=True, kw_only=True):
    """``[[egress]]``: ``env.<binding>.connect()`` reaches this one place, with TLS made by the host.

    The binding is the permission: the worker's rules need not open ``address``.
    """

    binding: str
    address: str
    """``host:port``."""
    secure_transport: str = "on"
    """``"on"``, ``"off"`` or ``"starttls"``."""
    ca: str | None = None
    """Name of a CA bundle in the credential store, trusted instead of the system's."""
    client_certificate: str | None = None
    """Name of a client certificate in the credential store."""
    sni: str | None = None
    """Name the certificate must match; the host of ``address`` otherwise."""
    alpn: tuple[str, ...] = ()
    minimum_version: str = "TLSv1.2"


class MtlsBinding(msgspec.Struct, frozen=True, kw_only=True):
    """``[[mtls_certificates]]``: ``env.<binding>.fetch()`` and ``.connect()`` show this client certificate.

    The worker's rules say where it may go.
    """

    binding: str
    certificate: str
    """Name of a client certificate in the credential store (wrangler's ``certificate_id``)."""
    ca: str | None = None
    """Ours: name of a CA bundle, trusted instead of the system's."""


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``isolation`` and ``[sandbox]``: what a worker process is shut into."""

    isolation: str = "auto"
    """``"auto"``: as much as the system allows; ``"required"``: all, or no start; ``"off"``: nothing."""
    environment: tuple[str, ...] = ()
    """Names of environment variables of the host that the worker gets, besides the harmless ones."""
    read: tuple[str, ...] = ()
    """Absolute paths that the worker may read besides its project and its interpreter."""
    write: tuple[str, ...] = ()
    """Absolute paths that the worker may write, besides its private ``/tmp``."""
    memory_bytes: int | None = None
    processes: int = 512
    open_files: int = 65_536
    cpu_cores: float | None = None


class HyperdriveCaching(msgspec.Struct, frozen=True, kw_only=True):
    """``caching`` of ``[[hyperdrive]]``: Cloudflare's names and defaults."""

    disabled: bool = False
    max_age: float = 60.0
    """Seconds."""
    stale_while_revalidate: float = 15.0
    """Seconds after ``max_age`` in which the old result is still given while a new one is fetched."""


class HyperdriveTls(msgspec.Struct, frozen=True, kw_only=True):
    """``mtls`` of ``[[hyperdrive]]``: TLS from the pool to the database; Cloudflare's names."""

    sslmode: str | None = None
    """As libpq's; None: what the connection string says."""
    ca_certificate_id: str | None = None
    """Name of a CA bundle in the credential store, trusted instead of the system's."""
    mtls_certificate_id: str | None = None
    """Name of a client certificate in the credential store."""


class HyperdriveBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A database: ``env.<binding>`` has ``connection_string``, and its parts under their names."""

    binding: str
    connection_string: str
    """``postgres://``, ``postgresql://`` or ``mysql://`` URL; it is a secret, for it holds the password."""
    mode: str = "transaction"
    """``"transaction"`` or ``"session"``: when the pool takes a server connection back."""
    origin_connection_limit: int = 20
    """Most server connections of the pool."""
    caching: HyperdriveCaching = HyperdriveCaching()
    mtls: HyperdriveTls = HyperdriveTls()
    is_private: bool = False
    """True where ``connection_string`` is not the database's but the pool's, as a worker gets it: host, port and
    password mean something for that one worker only (``longshore.runtime.host.databases``)."""

    @property
    def is_pooled(self) -> bool:
        """Whether it is reached through the pool."""
        return self.connection_string.lower().startswith(("postgres:", "postgresql:"))


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
    audit_log: str | None = None
    """Absolute path of a file to which every outbound connection is written as JSON lines."""
    metrics: str | None = None
    """``host:port`` at which the host serves Prometheus metrics."""
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
    egress: tuple[EgressBinding, ...] = ()
    mtls_certificates: tuple[MtlsBinding, ...] = ()
    tls: TlsSettings = TlsSettings()
    sandbox: SandboxSettings = SandboxSettings()
    dev: DevSettings = DevSettings()
    serve: ServeSettings = ServeSettings()
    watch: tuple[str, ...] = ()
    """Absolute folders that ``longshore dev`` watches: the project, without environments and caches."""
    unavailable: dict[str, str] = {}
    """Binding names that the file declares and this version does not provide, with the reason."""
    notices: tuple[Notice, ...] = ()
