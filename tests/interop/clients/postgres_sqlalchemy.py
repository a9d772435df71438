"""SQLAlchemy over psycopg 3, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text

from tests.interop.clients.libpq import conninfo
from tests.interop.clients.questions import POSTGRES, check_postgres

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Ask through an engine with its pool."""
    pairs = dict(pair.split("=", 1) for pair in conninfo(target).split())
    engine = create_engine("postgresql+psycopg://", connect_args=pairs)
    try:
        with engine.connect() as db:
            return check_postgres(target, db.execute(text(POSTGRES)).one())
    finally:
        engine.dispose()
