"""The functions that every PostgreSQL has, by name (PURE data)."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

__all__ = ["BUILTIN_FUNCTIONS"]

BUILTIN_FUNCTIONS: Final = frozenset(files("longshore.sql").joinpath("builtin_functions.txt").read_text().split())
"""Of ``pg_catalog``, as far as SQL can call them (PostgreSQL 15; one that came later is taken for one of a user)."""
