"""``ContextMaker``: puts together what the doors of a worker share (shell)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from longshore.core.addresses import SocketAddress
from longshore.egress.audit import Audit
from longshore.egress.context import WorkerContext
from longshore.egress.gate import Gate
from longshore.egress.judge import Judge
from longshore.egress.names import names_of
from longshore.egress.resolve import EgressResolver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.config.model import WorkerConfig
    from longshore.core.host_syntax import IpAddress
    from longshore.credentials.store import CredentialStore
    from longshore.egress.audit import AuditWriter
    from longshore.egress.flows import Flows

__all__ = ["ContextMaker", "is_of_this_host"]

_DISCARD_PORT = 9
"""No packet is sent: connecting a datagram socket only chooses a route."""


class ContextMaker:
    """What all workers of a process share, and the way to make a context from it.

    Args:
        credentials: the store.
        flows: follows the connections of all workers.
        write_audit: takes the audit records of all workers.
    """

    def __init__(self, credentials: CredentialStore, flows: Flows, write_audit: AuditWriter) -> None:
        self._credentials = credentials
        self._flows = flows
        self._write_audit = write_audit

    def make(self, worker_id: int, config: WorkerConfig, own_addresses: Iterable[str] = ()) -> WorkerContext:
        """Return the context of one worker.

        Args:
            worker_id: its number.
            config: resolved and valid.
            own_addresses: ``ip:port`` at which the host listens for it.
        """
        return WorkerContext(
            worker_id=worker_id,
            config=config,
            judge=Judge(config.network, own_addresses, is_of_this_host=is_of_this_host),
            names=names_of(config),
            resolver=EgressResolver(config.network.hosts),
            gate=Gate(config.network.limits, self._flows),
            audit=Audit(config.name, worker_id, self._write_audit),
            credentials=self._credentials,
        )


def is_of_this_host(ip: IpAddress) -> bool:
    """Tell whether ``ip`` is an address of this host: then the route to it begins where it ends."""
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(ip), _DISCARD_PORT))
            found: str = probe.getsockname()[0]
    except OSError:
        return False
    return SocketAddress(found, _DISCARD_PORT).ip == ip
