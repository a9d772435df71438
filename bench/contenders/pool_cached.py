"""``longshore pool --cache``."""

from bench.contenders.pool_cache_load import contender

__all__ = ["CONTENDER"]

CONTENDER = contender(is_cached=True)
