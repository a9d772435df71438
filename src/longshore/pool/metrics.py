"""The pools for Prometheus, and the port at which they can be asked (shell).

Nothing is counted here: a scrape reads what the pools have counted anyway. The scrape runs in a thread, the pools in
the loop; so the loop is asked. Labels are bounded: pools beyond a number are added up, and no text of a client is one.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from longshore.pool.inspection.inspect import snapshot
from longshore.pool.metric_families import families

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from prometheus_client import Metric

    from longshore.pool.inspection.model import Snapshot
    from longshore.pool.pools import Pools

__all__ = ["PoolCollector", "PoolMetricsServer", "serve_metrics"]

_LIMIT_S: Final = 5.0
"""So long may the loop take; a scrape that fails says more than one that hangs."""


class PoolCollector(Collector):
    """Asks the pools; made inside their loop.

    Args:
        pools: whose.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._loop = asyncio.get_running_loop()

        self._is_closed = False

    def collect(self) -> Iterable[Metric]:
        """Return everything; to be called from any thread but the loop's."""
        answer: Future[Snapshot] = Future()
        with contextlib.suppress(CancelledError, RuntimeError):  # the loop is at its end
            self._loop.call_soon_threadsafe(self._answer, answer)
            return families(answer.result(_LIMIT_S))
        return ()

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry need not ask while it is made."""
        return ()

    def close(self) -> None:
        """Answer nobody any more."""
        self._is_closed = True

    def _answer(self, answer: Future[Snapshot]) -> None:
        if self._is_closed:
            answer.cancel()
        else:
            answer.set_result(snapshot(self._pools))


class PoolMetricsServer:
    """Answers scrapes, in a thread of its own, until it is closed.

    Args:
        collector: asks the pools.
        host: address to listen on.
        port: the port; 0 for any free one.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, collector: PoolCollector, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        self._collector = collector
        self._server, self._thread = start_http_server(port, host, registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop."""
        self._collector.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_metrics(pools: Pools, host: str, port: int) -> PoolMetricsServer:
    """Answer scrapes about these pools; to be called inside their loop.

    Raises:
        OSError: it cannot listen there.
    """
    return PoolMetricsServer(PoolCollector(pools), host, port)
