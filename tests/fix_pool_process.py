"""``pool_process``: runs ``longshore pool`` as a process of its own, in front of the PostgreSQL of the fixtures."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.pool_process import PoolLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server_process import Server


@pytest.fixture
def pool_process(tmp_path: Path, postgres_server: Server) -> Iterator[PoolLauncher]:
    """Launches pools; those that still run in the end are killed."""
    with contextlib.ExitStack() as stack:
        yield PoolLauncher(tmp_path, postgres_server.port, stack)
