"""No pool: pgbench asks PostgreSQL itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.contenders.pool_load import contender

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTENDER"]


@contextmanager
def _serve(server_port: int) -> Iterator[tuple[int, None]]:
    yield server_port, None


CONTENDER = contender(_serve)
