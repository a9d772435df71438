"""The port for metrics, which the old and the new process of an online restart cannot both have (shell)."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Final

from longshore.pool.standalone import events as said
from longshore.pool.standalone.listeners import ListenFailed

if TYPE_CHECKING:
    from longshore.pool.metrics import PoolMetricsServer
    from longshore.pool.pools import Pools
    from longshore.pool.standalone.events import EventSink
    from longshore.pool.standalone.listen import Listen

__all__ = ["Scrapes"]

_TRY_EVERY_S: Final = 0.1
_PATIENCE_S: Final = 10.0


class Scrapes:
    """Answers scrapes.

    Args:
        place: where; None: nowhere.
        sink: is told where in the end.
    """

    def __init__(self, place: Listen | None, sink: EventSink) -> None:
        self._place = place
        self._sink = sink
        self._server: PoolMetricsServer | None = None

    async def open(self, pools: Pools, *, waits: bool) -> None:
        """Answer.

        Args:
            pools: about which.
            waits: for the process that had the port, which is about to give it up.

        Raises:
            ListenFailed: the port cannot be had.

        Cancellation: safe.
        """
        if self._place is None or self._server is not None:
            return
        from longshore.pool.metrics import serve_metrics  # noqa: PLC0415 - a library that few need

        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while self._server is None:
            try:
                self._server = serve_metrics(pools, self._place.host, self._place.port)
            except OSError as exc:
                if not waits or exc.errno != errno.EADDRINUSE or loop.time() >= deadline:
                    raise ListenFailed(f"cannot serve metrics at {self._place}: {exc.strerror or exc}") from exc
                await asyncio.sleep(_TRY_EVERY_S)
        self._sink(said.MetricsAt(f"http://{self._place.host}:{self._server.port}/metrics"))

    async def close(self) -> None:
        """Answer no more; in a thread, because a scrape that is under way is finished.

        Cancellation: the port is given up all the same.
        """
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.close)
