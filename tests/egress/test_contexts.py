"""Tests of ``longshore.egress.contexts``."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.credentials.store import CredentialStore
from longshore.egress.contexts import ContextMaker, is_of_this_host
from longshore.egress.flows import Flows
from tests.egress.broker_rig import make_config

if TYPE_CHECKING:
    from longshore.proto.ipc.egress import AuditRecord


@pytest.mark.parametrize(
    ("address", "is_own"), [("127.0.0.1", True), ("127.9.9.9", False), ("192.0.2.1", False), ("2001:db8::1", False)]
)
def test_addresses_of_this_host_are_told_from_others(address: str, is_own: bool) -> None:
    """127.9.9.9 is reached from 127.0.0.1; loopback is known without asking (``Judge``)."""
    assert is_of_this_host(ip_address(address)) == is_own


async def test_a_context_is_made_of_the_configuration() -> None:
    records: list[AuditRecord] = []
    flows = Flows()
    try:
        store = CredentialStore(Path("/nonexistent"))
        config = make_config()
        context = ContextMaker(store, flows, records.append).make(3, config, ["127.0.0.1:8787"])
        assert (context.worker_id, context.config, context.credentials) == (3, config, store)
        assert context.judge.judge(ip_address("127.0.0.1"), 8787, hostname="127.0.0.1").is_loop
        assert context.judge.judge(ip_address("127.0.0.1"), 8788, hostname="127.0.0.1").is_allowed
        context.audit.refuse("listen")
        assert [(record.worker, record.worker_id) for record in records] == [("shop", 3)]
        context.gate.close()
    finally:
        flows.close()
