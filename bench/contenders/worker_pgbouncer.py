"""The same worker through PgBouncer."""

from bench.contenders.worker_database import BOUNCER as CONTENDER

__all__ = ["CONTENDER"]
