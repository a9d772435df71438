"""The worker with its binding."""

from bench.contenders.worker_database import POOL as CONTENDER

__all__ = ["CONTENDER"]
