"""A worker's dialer and the door that answers it, at the two ends of a real channel in one event loop."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.abc import DialRequest
from longshore.config.model import NetworkRules, WorkerConfig
from longshore.core.addresses import SocketAddress
from longshore.credentials.store import CredentialStore
from longshore.egress.client import BrokerDialer
from longshore.egress.contexts import ContextMaker
from longshore.egress.control import ControlDoor
from longshore.egress.flows import Flows
from longshore.net.channel import Channel
from longshore.net.fdpass import Inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from longshore.abc import Resolver
    from longshore.egress.context import WorkerContext
    from longshore.proto.ipc.egress import AuditRecord, Jailed

__all__ = ["DoorRig", "broker", "door", "make_config", "request"]


def request(address: str, **options: Any) -> DialRequest:
    """Return what asks for a connection."""
    return DialRequest(SocketAddress.parse(address), **options)


def make_config(**fields: Any) -> WorkerConfig:
    """Return a configuration; without rules of its own it may reach this machine."""
    fields.setdefault("network", NetworkRules(allow=("local",)))
    return WorkerConfig(name="shop", main="/shop/entry.py", module_root="/shop", project_dir="/shop", **fields)


class DoorRig:
    """A door, and what it writes to the audit log."""

    def __init__(self, context: WorkerContext, control: ControlDoor, mine: socket.socket) -> None:
        self.context = context
        self.control = control
        self.mine = mine
        """The worker's end of the channel."""
        self.records: list[AuditRecord] = []

    def events(self) -> list[str]:
        """Return the audited events, without the ends of connections, which the kernel tells in its own time."""
        return [record.event for record in self.records if record.event != "close"]


@asynccontextmanager
async def door(
    *,
    config: WorkerConfig | None = None,
    resolver: Resolver | None = None,
    own_addresses: Iterable[str] = (),
    on_jailed: Callable[[Jailed, list[int]], None] | None = None,
    store: Path = Path("/nonexistent"),
) -> AsyncIterator[DoorRig]:
    """Serve a channel whose other end is the test's."""
    mine, its = socket.socketpair()
    records: list[AuditRecord] = []
    flows = Flows()
    try:
        maker = ContextMaker(CredentialStore(store), flows, records.append)
        context = maker.make(7, config or make_config(), own_addresses)
        if resolver is not None:
            context.resolver.resolve = resolver.resolve  # type: ignore[method-assign]
        control = ControlDoor(context, Channel(its, Inbox(64 * 1024)), on_jailed)
        control.start()
        rig = DoorRig(context, control, mine)
        rig.records = records
        try:
            yield rig
        finally:
            await control.aclose()
            context.gate.close()
    finally:
        flows.close()
        mine.close()


@asynccontextmanager
async def broker(**options: Any) -> AsyncIterator[tuple[BrokerDialer, DoorRig]]:
    """Give a dialer and the door that answers it; takes the options of ``door``."""
    async with door(**options) as rig:
        dialer = BrokerDialer(Channel(rig.mine))
        try:
            yield dialer, rig
        finally:
            await dialer.aclose()
