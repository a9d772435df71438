"""Everything the rows of a catalogue tell, by name and by object id (PURE)."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from longshore.pool.catalogue import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from longshore.sql.facts import Name

__all__ = ["Function", "Names", "Path"]

Path: TypeAlias = tuple[str, ...] | None
"""Schemas in which a name is looked for, without temporary ones; None: any."""
Function: TypeAlias = rows.Code | rows.Foreigner | rows.Aggregate

_SYSTEM = ("pg_catalog", "information_schema")


_T = TypeVar("_T")


class _Index(Generic[_T]):
    """Rows by name. Most names stand for one: a list for each would be work for the garbage collector."""

    def __init__(self) -> None:
        self._single: dict[str, _T] = {}
        self._more: dict[str, list[_T]] = {}

    def add(self, name: str, row: _T) -> None:
        """Take a row."""
        if name in self._single:
            self._more.setdefault(name, []).append(row)
        else:
            self._single[name] = row

    def find(self, name: str) -> list[_T]:
        """Return those with a name."""
        single = self._single.get(name)
        return [] if single is None else [single, *self._more.get(name, ())]


class Names:
    """What there is in a database. Filled row by row; then it does not change any more."""

    def __init__(self) -> None:
        self.head = rows.Head("", "", "none", "")
        self.builtins: dict[str, str] = {}
        """Volatility of built-in functions: the worst of those with the name."""
        self.relations: dict[int, rows.Relation] = {}
        self.parents: dict[int, list[int]] = {}
        self.children: dict[int, list[int]] = {}
        self.definitions: dict[int, str] = {}
        self.triggers: dict[int, list[rows.Trigger]] = {}
        self.hooks: dict[int, list[Name]] = {}
        self.keys: dict[int, list[rows.ForeignKey]] = {}
        """By the relation that is referred to."""
        self.hidden: list[Name] = []
        self.row_functions: set[str] = set()
        """Names of functions that can be called like a column."""
        self._relations: _Index[rows.Relation] = _Index()
        self._functions: _Index[Function] = _Index()
        self._operators: _Index[rows.Operator] = _Index()
        self._system: dict[str, frozenset[str]] = {}

    def add(self, row: rows.Row) -> None:
        """Take a row."""
        _ADD[type(row)](self, row)

    # -- looking up ------------------------------------------------------------------------------

    def find_relations(self, name: Name, path: Path) -> list[rows.Relation]:
        """Return what a name may mean.

        That is more than the first in the path: one in a schema that the role must not use is skipped, and nobody here
        knows who may use what.
        """
        return [each for each in self._relations.find(name[1]) if _is_visible(each.schema, name[0], path)]

    def find_functions(self, name: Name, path: Path) -> list[Function]:
        """Return what a call may mean, built-in functions apart."""
        return [each for each in self._functions.find(name[1]) if _is_visible(each.schema, name[0], path)]

    def find_operators(self, name: Name, path: Path) -> list[rows.Operator]:
        """Return what an operator may mean, built-in ones apart."""
        return [each for each in self._operators.find(name[1]) if _is_visible(each.schema, name[0], path)]

    def is_system_relation(self, name: Name, path: Path) -> bool:
        """Return whether a name may mean a relation of the system's catalogue."""
        if name[0] is not None:
            return name[0] in _SYSTEM or name[0].startswith("pg_toast")
        return any(
            name[1] in names
            for schema, names in self._system.items()
            if schema == "pg_catalog" or path is None or schema in path
        )

    # -- families --------------------------------------------------------------------------------

    def descendants(self, oid: int) -> set[int]:
        """Return a relation, its partitions and whatever inherits from it."""
        return _closure(oid, self.children)

    def ancestors(self, oid: int) -> set[int]:
        """Return a relation and all of which it is a part."""
        return _closure(oid, self.parents)

    # -- rows ------------------------------------------------------------------------------------

    def _add_head(self, row: rows.Head) -> None:
        self.head = row

    def _add_builtins(self, row: rows.Builtins) -> None:
        for name in row.names.split(" "):
            self.builtins[name] = max(self.builtins.get(name, ""), row.volatility)

    def _add_system(self, row: rows.SystemRelations) -> None:
        self._system[row.schema] = frozenset(row.names.split(" "))

    def _add_relation(self, row: rows.Relation) -> None:
        row.schema = intern(row.schema)
        self.relations[row.oid] = row
        self._relations.add(row.name, row)

    def _add_inherits(self, row: rows.Inherits) -> None:
        self.children.setdefault(row.parent, []).append(row.child)
        self.parents.setdefault(row.child, []).append(row.parent)

    def _add_definition(self, row: rows.Definition) -> None:
        self.definitions[row.oid] = row.text

    def _add_function(self, row: Function) -> None:
        row.schema = intern(row.schema)
        self._functions.add(row.name, row)
        if not isinstance(row, rows.Aggregate) and row.takes_row:
            self.row_functions.add(row.name)

    def _add_operator(self, row: rows.Operator) -> None:
        self._operators.add(row.name, row)

    def _add_hidden(self, row: rows.Hidden) -> None:
        self.hidden.append(row.function)

    def _add_hook(self, row: rows.Hook) -> None:
        self.hooks.setdefault(row.oid, []).append(row.function)

    def _add_trigger(self, row: rows.Trigger) -> None:
        self.triggers.setdefault(row.oid, []).append(row)

    def _add_key(self, row: rows.ForeignKey) -> None:
        self.keys.setdefault(row.target, []).append(row)


def _is_visible(schema: str, wanted: str | None, path: Path) -> bool:
    if wanted is not None:
        return schema == wanted
    return path is None or schema in path or schema == "pg_catalog"


def _closure(oid: int, edges: dict[int, list[int]]) -> set[int]:
    found = {oid}
    waiting: list[int] = [oid]
    while waiting:
        fresh: Iterable[int] = [each for each in edges.get(waiting.pop(), ()) if each not in found]
        found.update(fresh)
        waiting += fresh
    return found


_ADD: Final[dict[type, Callable[[Names, Any], None]]] = {
    rows.Head: Names._add_head,
    rows.Builtins: Names._add_builtins,
    rows.SystemRelations: Names._add_system,
    rows.Relation: Names._add_relation,
    rows.Inherits: Names._add_inherits,
    rows.Definition: Names._add_definition,
    rows.Code: Names._add_function,
    rows.Foreigner: Names._add_function,
    rows.Aggregate: Names._add_function,
    rows.Operator: Names._add_operator,
    rows.Hidden: Names._add_hidden,
    rows.Hook: Names._add_hook,
    rows.Trigger: Names._add_trigger,
    rows.ForeignKey: Names._add_key,
}
