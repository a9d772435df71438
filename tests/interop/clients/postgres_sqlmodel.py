"""SQLModel over pg8000."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import Field, Session, SQLModel, create_engine, select

from tests.interop.clients.questions import BACKEND

if TYPE_CHECKING:
    from tests.interop.target import Target


class Backend(SQLModel, table=True):
    """A row of the view that says how a client is connected."""

    __tablename__ = "pg_stat_ssl"
    pid: int = Field(primary_key=True)
    ssl: bool


def run(target: Target) -> str:
    """Find the row of this connection."""
    engine = create_engine(
        f"postgresql+pg8000://postgres@{target.address}/postgres",
        connect_args={"ssl_context": target.context or False},
    )
    try:
        with Session(engine) as session:
            pid = session.connection().execute(text(BACKEND)).scalar_one()
            backend = session.exec(select(Backend).where(Backend.pid == pid)).one()
            assert backend.ssl == target.is_tls
            return f"{backend.ssl}"
    finally:
        engine.dispose()
