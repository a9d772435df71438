"""PgBouncer of Debian, in transaction mode."""

from __future__ import annotations

from bench.contenders.pool_load import SESSIONS, contender, pgbouncer

__all__ = ["CONTENDER"]

CONTENDER = contender(pgbouncer, prepared_in=SESSIONS)
