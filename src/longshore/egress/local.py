"""``LocalEgress``: the egress process without a process, for a worker that runs inside a test.

Same rules, same bindings, same words: a ``ControlDoor`` and the ``BrokerDialer`` that asks it, at the two ends of a
socket pair in one event loop. There is no sandbox: what drivers connect by themselves is not seen.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from longshore.credentials.store import open_store
from longshore.egress.client import BrokerDialer
from longshore.egress.contexts import ContextMaker
from longshore.egress.control import ControlDoor
from longshore.egress.flows import Flows
from longshore.egress.pool_link import NoPool
from longshore.net.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.egress.pool_link import PoolDoor
    from longshore.proto.ipc.egress import AuditRecord

__all__ = ["LocalEgress"]

logger = logging.getLogger("longshore.egress")


class LocalEgress:
    """Opens connections for one worker; made inside the running loop.

    Args:
        config: of the worker.
        request_id: see ``BrokerDialer``.
        via: see ``BrokerDialer``.
        pool: serves its ``[[hyperdrive]]`` bindings.
        write_audit: takes the audit records; by default a denial is logged, with the rule that the worker is not told.

    Raises:
        CredentialError: ``LONGSHORE_STORE_KEY`` is no key.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        request_id: Callable[[], str],
        via: Callable[[], str],
        pool: PoolDoor | None = None,
        write_audit: Callable[[AuditRecord], None] | None = None,
    ) -> None:
        store = open_store(os.environ)
        self._flows = Flows()
        mine, its = socket.socketpair()
        context = ContextMaker(store, self._flows, write_audit or _log_denial).make(1, config)
        self._context = context
        self._door = ControlDoor(context, Channel(its), pool=pool or NoPool())
        self._door.start()
        self.dialer = BrokerDialer(Channel(mine), request_id=request_id, via=via)

    def abort(self) -> None:
        """Give up every dial and every tunnel. Idempotent."""
        self.dialer.abort()
        self._door.abort()
        self._context.resolver.abort()
        self._context.gate.close()
        self._flows.close()


def _log_denial(record: AuditRecord) -> None:
    if record.event in {"deny", "limit"}:
        logger.warning("%s:%d: %s: %s", record.name, record.port, record.outcome, record.rule or record.detail)
