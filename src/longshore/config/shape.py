"""What a configuration file may hold: the keys that Longshore acts upon, as types (PURE).

``validate`` walks these declarations, so a type, a range or a check stands here and nowhere else. Keys of wrangler's
that have no effect are in ``wrangler_keys``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from longshore.config import checks

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BuildShape",
    "CachingShape",
    "DatabaseTlsShape",
    "DevShape",
    "EgressShape",
    "HyperdriveShape",
    "LimitsShape",
    "MtlsShape",
    "NetworkShape",
    "SandboxShape",
    "SecretsShape",
    "Section",
    "ServeShape",
    "TlsShape",
    "TopLevel",
    "TriggersShape",
]

MAX_WORKERS = 256
"""More processes than that are a mistake on any machine this runs on."""
MAX_SECONDS = 3600.0
"""A time limit of more than an hour is one that nobody meant."""
MAX_BYTES = 1_000_000_000_000_000
"""A petabyte is no limit."""
MIN_MEMORY_BYTES = 64 * 1024 * 1024
"""With less, the interpreter and the runtime leave nothing for the worker."""
MAX_DATABASE_CONNECTIONS = 10_000
"""No PostgreSQL server does well with more; a pool is there so that it need not."""
MAX_SOCKETS = 1_048_576
"""Linux gives no process more descriptors (``fs.nr_open``) unless it was told to."""


def _checked(check: Callable[[Any], None]) -> Meta:
    return Meta(extra={"check": check})


Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
"""0 asks the system for a free one."""
Host: TypeAlias = Annotated[str, _checked(checks.check_host)]
BindingName: TypeAlias = Annotated[str, _checked(checks.check_binding_name)]
DatabaseUrl: TypeAlias = Annotated[str, _checked(checks.check_connection_string)]
Json: TypeAlias = Annotated[Any, _checked(checks.check_json)]
AllowRule: TypeAlias = Annotated[str, _checked(lambda value: checks.check_rule(value, "allow"))]
DenyRule: TypeAlias = Annotated[str, _checked(lambda value: checks.check_rule(value, "deny"))]
Address: TypeAlias = Annotated[str, _checked(checks.check_address)]
"""``host:port``."""
IpText: TypeAlias = Annotated[str, _checked(checks.check_ip)]
CredentialName: TypeAlias = Annotated[str, _checked(checks.check_credential_name)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SOCKETS)]
Bytes: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_BYTES)]
OpenPath: TypeAlias = Annotated[str, _checked(checks.check_open_path)]


class CachingShape(msgspec.Struct, frozen=True, kw_only=True):
    """``caching`` of ``[[hyperdrive]]``: as in Cloudflare's API."""

    disabled: bool | None = None
    max_age: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None
    stale_while_revalidate: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None


class DatabaseTlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``mtls`` of ``[[hyperdrive]]``: as in Cloudflare's API."""

    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] | None = None
    ca_certificate_id: CredentialName | None = None
    mtls_certificate_id: CredentialName | None = None


class HyperdriveShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[[hyperdrive]]``; ``mode`` is Longshore's, and the rest behind it as in Cloudflare's API."""

    binding: BindingName
    id: str | None = None
    localConnectionString: DatabaseUrl | None = None  # noqa: N815 - wrangler's spelling
    connection_string: DatabaseUrl | None = None
    mode: Literal["transaction", "session"] | None = None
    origin_connection_limit: Annotated[int, Meta(ge=1, le=MAX_DATABASE_CONNECTIONS)] | None = None
    caching: CachingShape = CachingShape()
    mtls: DatabaseTlsShape = DatabaseTlsShape()


class TriggersShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[triggers]``."""

    crons: list[Annotated[str, _checked(checks.check_cron)]] = []


class SecretsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[secrets]``."""

    required: list[Annotated[str, _checked(checks.check_secret_name)]] = []


class RuleShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[[rules]]``: which files are modules; every file of the project is importable here."""

    type: Literal["ESModule", "CommonJS", "CompiledWasm", "Text", "Data", "PythonModule", "PythonRequirement"]
    globs: list[str]
    fallthrough: bool | None = None


class PythonModulesShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[python_modules]``."""

    exclude: list[str] = []


class BuildShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[build]``: only ``watch_dir`` has an effect."""

    command: str | None = None
    cwd: str | None = None
    watch_dir: str | list[str] | None = None
    upload: Any = None


class LimitsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[network.limits]``."""

    open_sockets: Count | None = None
    dials_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    bytes: Bytes | None = None
    request_open_sockets: Count | None = None
    request_dials: Count | None = None
    request_bytes: Bytes | None = None
    queue_timeout_s: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None


class NetworkShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[network]`` (Longshore's)."""

    allow: list[AllowRule] | None = None
    deny: list[DenyRule] | None = None
    hosts: Annotated[dict[str, IpText | list[IpText]], _checked(checks.check_hosts)] = {}
    limits: LimitsShape = LimitsShape()


class EgressShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[[egress]]`` (Longshore's)."""

    binding: BindingName
    address: Address
    secure_transport: Literal["on", "off", "starttls"] | None = None
    ca: CredentialName | None = None
    client_certificate: CredentialName | None = None
    sni: Annotated[str, _checked(checks.check_server_name)] | None = None
    alpn: list[Annotated[str, _checked(checks.check_alpn)]] = []
    minimum_version: Literal["TLSv1.2", "TLSv1.3"] | None = None


class MtlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[[mtls_certificates]]``; ``ca`` is Longshore's."""

    binding: BindingName
    certificate_id: CredentialName
    ca: CredentialName | None = None
    remote: bool | None = None


class TlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[tls]`` (Longshore's)."""

    ca: list[CredentialName] | None = None


class SandboxShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[sandbox]`` (Longshore's)."""

    environment: list[Annotated[str, _checked(checks.check_variable_name)]] | None = None
    read: list[OpenPath] | None = None
    write: list[OpenPath] | None = None
    memory_bytes: Annotated[int, Meta(ge=MIN_MEMORY_BYTES, le=MAX_BYTES)] | None = None
    processes: Annotated[int, Meta(ge=8, le=MAX_SOCKETS)] | None = None
    open_files: Annotated[int, Meta(ge=64, le=MAX_SOCKETS)] | None = None
    cpu_cores: Annotated[float, Meta(gt=0, le=4096)] | None = None


class ServeShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[serve]`` (Longshore's)."""

    host: Host | None = None
    port: Port | None = None
    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] | None = None
    drain_timeout_s: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None
    boot_timeout_s: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    disconnect_grace_s: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None
    body_timeout_s: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None
    audit_log: Annotated[str, _checked(checks.check_path)] | None = None
    metrics: Address | None = None
    log_format: Literal["text", "json"] | None = None
    log_requests: bool | None = None


class DevShape(msgspec.Struct, frozen=True, kw_only=True):
    """``[dev]``: ``ip`` and ``port`` have an effect."""

    ip: Host | None = None
    port: Port | None = None
    inspector_port: Port | None = None
    inspector_ip: str | None = None
    local_protocol: Literal["http", "https"] | None = None
    upstream_protocol: Literal["http", "https"] | None = None
    host: str | None = None
    enable_containers: bool | None = None
    container_engine: Any = None
    generate_types: bool | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """What the top level and each ``[env.<name>]`` may hold."""

    name: Annotated[str, _checked(checks.check_worker_name)] | None = None
    main: str | None = None
    compatibility_date: Annotated[Any, _checked(checks.check_date)] = None
    compatibility_flags: list[str] = []
    vars: dict[str, Json] = {}
    hyperdrive: list[HyperdriveShape] = []
    triggers: TriggersShape = TriggersShape()
    secrets: SecretsShape = SecretsShape()
    rules: list[RuleShape] = []
    python_modules: PythonModulesShape = PythonModulesShape()
    build: BuildShape = BuildShape()
    network: NetworkShape = NetworkShape()
    egress: list[EgressShape] = []
    mtls_certificates: list[MtlsShape] = []
    tls: TlsShape = TlsShape()
    isolation: Literal["auto", "required", "off"] | None = None
    sandbox: SandboxShape = SandboxShape()
    serve: ServeShape = ServeShape()


class TopLevel(Section, frozen=True, kw_only=True):
    """What the whole file may hold."""

    dev: DevShape = DevShape()
    env: dict[str, Section] = {}
