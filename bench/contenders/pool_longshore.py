"""``longshore pool``, as a user starts it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.contenders.http_load import free_port
from bench.contenders.pool_load import contender, longshore_command, started

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTENDER"]


@contextmanager
def _serve(server_port: int) -> Iterator[tuple[int, int]]:
    port = free_port()
    with started(longshore_command(server_port, port), port) as running:
        yield running


CONTENDER = contender(_serve)
