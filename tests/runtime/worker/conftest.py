"""``hatchery``: one zygote for all tests of worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.worker.processes import Hatchery, running_hatchery

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def hatchery() -> Iterator[Hatchery]:
    """A zygote that forks real workers."""
    with running_hatchery() as running:
        yield running
