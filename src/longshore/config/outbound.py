"""From keys to what a worker may reach, with which credentials, and what it is shut into (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from longshore.config.connection_string import parse_connection_string
from longshore.config.main_file import normal_path
from longshore.config.model import EgressBinding, EgressLimits, MtlsBinding, NetworkRules, SandboxSettings, TlsSettings
from longshore.core.host_syntax import join_host_port, parse_host, try_parse_ip
from longshore.errors import SocketError
from longshore.policy.rules import parse_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from longshore.config.merge import Merged
    from longshore.config.model import HyperdriveBinding
    from longshore.config.report import Report
    from longshore.config.shape import EgressShape, MtlsShape, NetworkShape, SandboxShape, TlsShape

__all__ = [
    "database_rules",
    "egress_bindings",
    "mtls_bindings",
    "network_rules",
    "sandbox_settings",
    "settings",
    "tls_settings",
]

T = TypeVar("T", bound=msgspec.Struct)

# What says how a handshake is made, and so says nothing where none is made.
_HANDSHAKE_KEYS = ("ca", "client_certificate", "sni", "alpn", "minimum_version")


def settings(kind: type[T], shape: msgspec.Struct, **others: Any) -> T:
    """Make a struct of the model from those keys of a shape that are set; ``others`` go before them."""
    known = {each.name for each in msgspec.structs.fields(kind)}
    given = {key: value for key, value in msgspec.structs.asdict(shape).items() if key in known and value is not None}
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()} | others)


def network_rules(shape: NetworkShape, hyperdrive: Iterable[HyperdriveBinding]) -> NetworkRules:
    """Return the rules; names and addresses of ``hosts`` in the one spelling in which they are looked up.

    A declared database that the worker connects to by itself (MySQL) may be reached: its very address and port are
    allowed, behind what the file allows.
    """
    hosts = {
        parse_host(name, name)[0].removesuffix("."): _addresses([text] if isinstance(text, str) else text)
        for name, text in shape.hosts.items()
    }
    rules = settings(NetworkRules, shape, hosts=hosts, limits=settings(EgressLimits, shape.limits))
    return msgspec.structs.replace(rules, allow=tuple(dict.fromkeys([*rules.allow, *database_rules(hyperdrive)])))


def egress_bindings(shapes: Sequence[EgressShape], merged: Merged, report: Report) -> tuple[EgressBinding, ...]:
    """Return the bindings; one without TLS that says how TLS is to be made is a problem."""
    for index, shape in enumerate(shapes):
        if shape.secure_transport != "off":
            continue
        for key in _HANDSHAKE_KEYS:
            if getattr(shape, key):
                path = merged.path("egress", index, key)
                report.problem(path, "says how TLS is made, and secure_transport is 'off'", "remove one of the two")
    return tuple(settings(EgressBinding, shape) for shape in shapes)


def mtls_bindings(shapes: Iterable[MtlsShape]) -> tuple[MtlsBinding, ...]:
    """Return the bindings with their certificates."""
    return tuple(MtlsBinding(binding=each.binding, certificate=each.certificate_id, ca=each.ca) for each in shapes)


def tls_settings(shape: TlsShape) -> TlsSettings:
    """Return what every handshake of the worker's own trusts."""
    return settings(TlsSettings, shape)


def sandbox_settings(isolation: str | None, shape: SandboxShape, project: Path) -> SandboxSettings:
    """Return what the worker is shut into; a relative path is one of the project's."""
    paths = {
        key: tuple(str(normal_path(project / path)) for path in named)
        for key in ("read", "write")
        if (named := getattr(shape, key)) is not None
    }
    return settings(SandboxSettings, shape, **paths, **({"isolation": isolation} if isolation is not None else {}))


def database_rules(bindings: Iterable[HyperdriveBinding]) -> Iterator[str]:
    """Yield the rules that declared databases bring with them: none for what the host's pool connects to."""
    for binding in bindings:
        if binding.is_pooled:
            continue
        url = parse_connection_string(binding.connection_string)
        rule = join_host_port(url.host, url.port)
        try:
            parse_rule(rule)
        except SocketError:
            continue  # a host that is none, like a folder of Unix sockets
        yield rule


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(try_parse_ip(text)) for text in texts))
