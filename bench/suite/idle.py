"""``idle``: 10,000 open connections on which nothing happens; what one keeps in the client's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.model import Bench, ServerSpec, Target, Task
from bench.suite.roster import LOOPS, contenders_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.model import Scale

__all__ = ["make"]


_PEERS = ("asyncio-streams", "anyio")
"""Those that watch their sockets as we do (a FIN nobody reads is noticed); trio keeps a bare descriptor."""


def _bytes_per_socket(reading: Mapping[str, float], count: int) -> float:
    return reading["bytes"] / count


def make(scale: Scale) -> Bench:
    """Return the bench. Every process has a server of its own: no port is ever used twice."""
    count = scale.pick(10_000, 1_000)
    server = ServerSpec("hold_server", is_fresh=True)
    task = Task(f"{count} sockets", "idle", server, count, value=_bytes_per_socket)
    targets = tuple(
        Target("less than asyncio-streams and anyio", f"{task.name}, {loop}", _PEERS, "<", 1.0) for loop in LOOPS
    )
    summary = f"resident memory of {count} open sockets"
    return Bench("idle", summary, "B/socket", True, (task,), contenders_for("idle"), targets)
