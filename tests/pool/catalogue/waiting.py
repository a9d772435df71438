"""Wait for what a loader does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.pool.rig import LIMIT_S

if TYPE_CHECKING:
    from longshore.pool.catalogue.catalogue import Catalogue
    from longshore.pool.catalogue.loader import CatalogueLoader
    from tests.pool.rig import PoolRig

__all__ = ["until_idle", "until_known"]


async def until_known(rig: PoolRig) -> Catalogue:
    """Wait until the catalogue is known, and return it."""
    async with asyncio.timeout(LIMIT_S):
        while (catalogue := rig.pool.shared.known_catalogue()) is None:
            await asyncio.sleep(0.005)
    return catalogue


async def until_idle(loader: CatalogueLoader) -> None:
    """Wait until nothing is asked."""
    async with asyncio.timeout(LIMIT_S):
        while loader.is_busy:
            await asyncio.sleep(0.005)
