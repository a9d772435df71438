"""``parse_ask``: what a worker may ask for with ``Dial``, checked against its configuration (PURE).

The worker is not trusted: what it says is data here, bounded and checked before anything is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from longshore.abc import DialRequest
from longshore.config.model import EgressBinding
from longshore.core.addresses import SocketAddress
from longshore.core.shown import shown
from longshore.errors import ArgumentValueError, UsageError
from longshore.proto.ipc.egress import HandshakeAsk

if TYPE_CHECKING:
    from longshore.config.model import MtlsBinding, WorkerConfig
    from longshore.proto.ipc.egress import Dial

__all__ = ["Ask", "find_binding", "parse_ask"]

MAX_TIMEOUT_S: Final = 86_400.0
MAX_KEEP_ALIVE_S: Final = 32_767.0
"""``MAX_TCP_KEEPIDLE`` of Linux."""
MAX_REQUEST_ID_CHARS: Final = 128
_FIRST_UNPRIVILEGED_PORT: Final = 1024
_WAYS: Final = frozenset({"connect()", "fetch()"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One connection that a worker may ask for; where it may go is still to be judged."""

    request: DialRequest
    """Address, time and socket options; without TLS."""
    via: str
    request_id: str
    binding: str = ""
    is_free: bool = False
    """The binding is the permission: the worker's rules do not apply."""
    tls: HandshakeAsk | None = None
    """The handshake to make for the binding."""
    is_upgradable: bool = False
    """``StartTls`` may follow on the plain connection."""


def parse_ask(config: WorkerConfig, dial: Dial) -> Ask:
    """Return what ``dial`` asks for.

    Raises:
        UsageError: the worker has no such binding, or the binding does not do that.
        ArgumentValueError, ArgumentTypeError: the address or a number is not allowed.
    """
    binding = None if dial.binding is None else find_binding(config, dial.binding)
    via = dial.via if dial.via in _WAYS else "connect()"
    request_id = dial.request_id[:MAX_REQUEST_ID_CHARS]
    if binding is None:
        if dial.tls is not None:
            raise UsageError("a worker makes TLS itself on a connection without a binding")
        return Ask(_request(dial, SocketAddress.parse(dial.address)), via, request_id)
    if isinstance(binding, EgressBinding):
        return _egress_ask(binding, dial, request_id)
    request = _request(dial, SocketAddress.parse(dial.address))
    is_plain = dial.tls is None
    return Ask(request, "binding", request_id, binding.binding, tls=dial.tls, is_upgradable=is_plain)


def find_binding(config: WorkerConfig, name: str) -> EgressBinding | MtlsBinding:
    """Return the binding of this name, one whose connections are made here.

    Raises:
        UsageError: there is none.
    """
    bindings: list[EgressBinding | MtlsBinding] = [*config.egress, *config.mtls_certificates]
    for binding in bindings:
        if binding.binding == name:
            return binding
    raise UsageError(f"worker {config.name!r} has no [[egress]] or [[mtls_certificates]] binding {shown(name)}")


def _egress_ask(binding: EgressBinding, dial: Dial, request_id: str) -> Ask:
    """Return what the binding stands for: where it leads, and whether with TLS, is not for the worker to say."""
    address = SocketAddress.parse(binding.address)
    request = _request(dial, address)
    tls = dial.tls
    if binding.secure_transport != "on":
        if tls is not None:
            raise UsageError(f"binding {binding.binding!r} has secure_transport = {binding.secure_transport!r}")
    elif tls is None:
        tls = HandshakeAsk(server_name=address.server_name)
    is_upgradable = binding.secure_transport == "starttls"
    return Ask(request, "binding", request_id, binding.binding, is_free=True, tls=tls, is_upgradable=is_upgradable)


def _request(dial: Dial, address: SocketAddress) -> DialRequest:
    return DialRequest(
        address=address,
        timeout_s=None if dial.timeout_s is None else max(0.0, min(dial.timeout_s, MAX_TIMEOUT_S)),
        no_delay=dial.no_delay,
        keep_alive_s=None if dial.keep_alive_s is None else max(0.0, min(dial.keep_alive_s, MAX_KEEP_ALIVE_S)),
        local_address=None if dial.local_address is None else _local_address(*dial.local_address),
    )


def _local_address(host: str, port: int) -> tuple[str, int]:
    """Return the address to bind.

    A name would be looked up by bind(2)'s caller, which blocks; the ports below 1024 are trusted by old protocols.
    """
    try:
        ip = ip_address(host)
    except ValueError:
        raise ArgumentValueError(f"local_address {shown(host)} is no IP address") from None
    if port != 0 and not _FIRST_UNPRIVILEGED_PORT <= port <= 65_535:
        raise ArgumentValueError(f"local_address has port {port}: use 0, or 1024 to 65535")
    return str(ip), port
