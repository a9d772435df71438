"""Which relations change when rows of one are written (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason
from longshore.pool.catalogue.plan import NOTHING, OPAQUE, Impact
from longshore.sql.facts import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.catalogue.analysis import Analysis
    from longshore.pool.catalogue.names import Path
    from longshore.pool.catalogue.rows import ForeignKey, Relation
    from longshore.sql.facts import Name

__all__ = ["Writes"]

_O = Operation
# Bits of pg_trigger.tgtype (PostgreSQL's catalog/pg_trigger.h).
_EVENTS: Final = {_O.INSERT: 4, _O.DELETE: 8, _O.UPDATE: 16, _O.TRUNCATE: 32, _O.TRUNCATE_CASCADE: 32, _O.REFRESH: 0}
_CHANGING: Final = frozenset("cnd")  # CASCADE, SET NULL, SET DEFAULT
_FILLING: Final = frozenset({_O.INSERT, _O.UPDATE})
_ANYTHING: Final = Impact(Reason.UNKNOWN_NAME, writes=None)


class Writes:
    """Follows the writes of one statement.

    Args:
        analysis: knows what triggers do.
        path: of the session, which the bodies of triggers see too.
    """

    def __init__(self, analysis: Analysis, path: Path) -> None:
        self._analysis = analysis
        self._names = analysis.names
        self._path = path
        self._seen: set[tuple[Operation, int]] = set()
        self._waiting: list[tuple[Operation, int]] = []

    def of(self, operations: Iterable[tuple[Operation, Name]]) -> Impact:
        """Return the impact of all these together."""
        impact = NOTHING
        for operation, name in operations:
            impact |= self._named(operation, name)
        while self._waiting:
            operation, oid = self._waiting.pop()
            relation = self._names.relations.get(oid)
            impact |= _ANYTHING if relation is None else self._relation(operation, relation)
        return impact

    def _named(self, operation: Operation, name: Name) -> Impact:
        if name[0] is not None and name[0].startswith("pg_temp"):
            return NOTHING  # which nobody else reads
        found = self._names.find_relations(name, self._path)
        if not found or self._names.is_system_relation(name, self._path):
            return _ANYTHING
        for relation in found:
            self._add(operation, relation.oid)
        return NOTHING

    def _add(self, operation: Operation, oid: int) -> None:
        if (operation, oid) not in self._seen:
            self._seen.add((operation, oid))
            self._waiting.append((operation, oid))

    def _relation(self, operation: Operation, relation: Relation) -> Impact:
        if relation.kind == "v":
            return self._view(operation, relation)
        if operation is _O.REFRESH:
            inner = self._analysis.view(relation.oid, self._path)
            writes = None if inner.writes is None else inner.writes | {relation.oid}
            return Impact(writes=writes, is_clean=inner.is_clean)
        family = self._names.descendants(relation.oid)
        relatives = family | self._names.ancestors(relation.oid)
        impact = Impact(writes=frozenset(relatives))
        for oid in family:
            impact |= self._member(operation, oid)
        for oid in relatives:
            for key in self._names.keys.get(oid, ()):
                self._follow_key(operation, key)
        if operation is _O.UPDATE and relation.kind == "p":  # a row may move to another partition
            self._add(_O.DELETE, relation.oid)
            self._add(_O.INSERT, relation.oid)
        return impact

    def _view(self, operation: Operation, relation: Relation) -> Impact:
        """Follow an updatable view: which of its tables is meant does not matter."""
        impact = self._analysis.view(relation.oid, self._path) | self._member(operation, relation.oid)
        for oid in impact.reads:
            self._add(operation, oid)
        return impact

    def _member(self, operation: Operation, oid: int) -> Impact:
        """Return the impact of code that runs at a write of one relation."""
        relation = self._names.relations.get(oid)
        if relation is None or relation.has_rules:
            return OPAQUE
        impact = NOTHING
        for trigger in self._names.triggers.get(oid, ()):
            if trigger.events & _EVENTS[operation]:
                impact |= self._analysis.call(trigger.function, self._path)
        if operation in _FILLING or relation.has_row_security:
            impact |= self._analysis.hooks(oid, self._path)
        return impact

    def _follow_key(self, operation: Operation, key: ForeignKey) -> None:
        """Go on with the relation that refers to the one that is written."""
        if operation is _O.TRUNCATE_CASCADE:
            self._add(operation, key.oid)
        elif operation is _O.DELETE and key.on_delete in _CHANGING:
            self._add(_O.DELETE if key.on_delete == "c" else _O.UPDATE, key.oid)
        elif operation is _O.UPDATE and key.on_update in _CHANGING:
            self._add(_O.UPDATE, key.oid)
