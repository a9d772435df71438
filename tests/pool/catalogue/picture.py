"""The catalogue of a real database, as a pool reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.catalogue.answer import Answer
from longshore.pool.catalogue.catalogue import Catalogue
from longshore.pool.catalogue.plan import ReadPlan
from longshore.pool.catalogue.queries import catalogue_sql
from longshore.sql.classify import classify

if TYPE_CHECKING:
    from longshore.pool.cache.model import Reason
    from tests.pool.rig import RawSession

__all__ = ["VERSION", "Picture", "read_catalogue"]

VERSION = 150000


async def read_catalogue(client: RawSession, version: int = VERSION) -> Picture:
    """Read it all, directly."""
    answer = Answer()
    await client.query("SET search_path = pg_catalog")
    for text in catalogue_sql(version):
        for frame in await client.query(text):
            answer.receive(frame.raw)
    assert answer.failure is None, answer.failure
    await client.query("RESET search_path")
    return Picture(Catalogue(answer.names, 0))


class Picture:
    """A catalogue, and its answers with names instead of object ids."""

    def __init__(self, catalogue: Catalogue, path: tuple[str, ...] | None = ("public",)) -> None:
        self.catalogue = catalogue
        self.path = path

    def reads(self, text: str) -> set[str] | Reason:
        """Return what a read depends on."""
        (statement,) = classify(text).statements
        plan = self.catalogue.read_plan(statement, self.path)
        return self._names(plan.relations) if isinstance(plan, ReadPlan) else plan

    def writes(self, text: str) -> set[str] | None:
        """Return what all statements of a text write to."""
        found: set[str] = set()
        for statement in classify(text).statements:
            written = self.catalogue.written(statement, self.path)
            if written is None:
                return None
            found |= self._names(written)
        return found

    def is_clean(self, text: str) -> bool:
        """Return whether it leaves nothing."""
        return self.catalogue.leaves_nothing(classify(text), self.path)

    def _names(self, oids: frozenset[int]) -> set[str]:
        return {self.catalogue.names.relations[oid].name for oid in oids}
