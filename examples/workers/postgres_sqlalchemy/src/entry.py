"""PostgreSQL with SQLAlchemy's ORM over asyncpg; the engine and its pool are kept in a global."""

from functools import cache

from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from workers import Request, Response, WorkerEntrypoint, env


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]


@cache
def engine() -> AsyncEngine:
    db = env.DB
    return create_async_engine(URL.create("postgresql+asyncpg", db.user, db.password, db.host, db.port, db.database))


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        async with AsyncSession(engine()) as session:
            customers = await session.scalars(select(Customer).order_by(Customer.id))
            return Response.json([{"id": c.id, "name": c.name, "city": c.city} for c in customers])
