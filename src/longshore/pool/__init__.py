"""Pools of database connections, in which no session feature breaks silently."""

from __future__ import annotations

from longshore.pool.compiled import install

install()  # here, because it must happen before the first import of a hot module
