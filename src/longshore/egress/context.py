"""``WorkerContext``: what the doors of one worker share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.config.model import WorkerConfig
    from longshore.credentials.store import CredentialStore
    from longshore.egress.audit import Audit
    from longshore.egress.gate import Gate
    from longshore.egress.judge import Judge
    from longshore.egress.names import SyntheticNames
    from longshore.egress.resolve import EgressResolver

__all__ = ["WorkerContext"]


@dataclass(slots=True)
class WorkerContext:
    """Everything that the control door, the trap door and the name server of one worker go by."""

    worker_id: int
    config: WorkerConfig
    """Without ``vars`` and ``secrets``."""
    judge: Judge
    names: SyntheticNames
    resolver: EgressResolver
    gate: Gate
    audit: Audit
    credentials: CredentialStore
