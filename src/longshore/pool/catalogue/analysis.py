"""What comes of running a statement, followed through views, triggers, foreign keys and functions (PURE).

Theory of operation. Everything that a statement names is looked up, and has an ``Impact``; that of the statement is
their union. A view has the impact of its query, a function in SQL or PL/pgSQL that of its statements, which are
classified like any other text. What cannot be looked into is ``OPAQUE``. So is what leads back to itself, and what is
nested too deep.
"""

from __future__ import annotations

from itertools import filterfalse
from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason
from longshore.pool.catalogue import builtins, rows
from longshore.pool.catalogue.bodies import texts_of
from longshore.pool.catalogue.paths import path_of
from longshore.pool.catalogue.plan import NOTHING, OPAQUE, Impact, refused
from longshore.pool.catalogue.writes import Writes
from longshore.sql.classify import classify
from longshore.sql.facts import Effect, Kind
from longshore.sql.walk import FUNCTION_EFFECTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.pool.catalogue.names import Function, Names, Path
    from longshore.sql.facts import Name, Statement

__all__ = ["Analysis"]

_MAX_DEPTH: Final = 30
_MAX_KNOWN: Final = 20_000
_CLOCK = (
    "CURRENT_DATE CURRENT_TIME CURRENT_TIME_N CURRENT_TIMESTAMP CURRENT_TIMESTAMP_N"
    " LOCALTIME LOCALTIME_N LOCALTIMESTAMP LOCALTIMESTAMP_N"
)
_CLOCK_VALUES: Final = frozenset(_CLOCK.split())
_IN_BODIES: Final = frozenset({Kind.READ, Kind.WRITE})
# What a body does with these is seen in what its caller's statement is taken for anyway.
_TOLD_OUTSIDE: Final = Effect.SEQUENCE_MOVES | Effect.ANYTHING
_CHANGES_MEANING: Final = Effect.SETTINGS | Effect.TEMPORARY
_UNCLEAN: Final = Impact(is_clean=False)
_KINDS: Final = {
    "f": refused(Reason.FOREIGN_TABLE),
    "S": refused(Reason.VOLATILE),  # its value moves without a write
}
_VOLATILE: Final = refused(Reason.VOLATILE)


class Analysis:
    """Looks statements up in one state of a catalogue.

    Args:
        names: what there is.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._known: dict[tuple[int, Path], tuple[Statement, Impact]] = {}
        self._functions: dict[tuple[int, Path], Impact] = {}
        self._views: dict[tuple[int, Path], Impact] = {}
        self._hidden: dict[Path, Impact] = {}
        self._same: dict[Impact, Impact] = {}
        self._depth = 0

    def statement(self, statement: Statement, path: Path) -> Impact:
        """Return the impact of a statement; what its own built-in functions leave in the session is not in it."""
        key = (id(statement), path)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
                self._same.clear()
            impact = self.follow(statement, path)
            impact = self._same.setdefault(impact, impact)
            known = self._known[key] = (statement, impact)  # it must live as long as its id is a key
        return known[1]

    def follow(self, statement: Statement, path: Path) -> Impact:
        """Do the same without remembering it."""
        if statement.is_opaque:
            return OPAQUE
        impact = self.hidden(path) | _of_words(statement)
        for name in statement.reads:
            impact |= self._read(name, path)
        if statement.operations:
            impact |= Writes(self, path).of(statement.operations)
        for name in statement.functions:
            impact |= self.call(name, path)
        for name in statement.operators:
            for operator in self.names.find_operators(name, path):
                impact |= self.call(operator.function, path)
        for attribute in statement.attributes & self.names.row_functions:
            for function in self.names.find_functions((None, attribute), path):
                impact |= self._function(function, path)
        return impact

    def hidden(self, path: Path) -> Impact:
        """Return the impact of what runs without being named: casts, checks of domains."""
        impact = self._hidden.get(path)
        if impact is None:
            self._hidden[path] = NOTHING  # what it calls has that impact anyway
            impact = self._calls(filterfalse(self._is_of_extension, self.names.hidden), path)
            if impact.reads or impact.reason:  # on rows that no statement names
                impact |= _VOLATILE
            self._hidden[path] = impact
        return impact

    def _is_of_extension(self, name: Name) -> bool:
        """Return whether a function of a type or an index does for its extension what it is there for."""
        found = self.names.find_functions(name, ())
        return all(
            isinstance(each, rows.Foreigner) and each.extension is not None and each.volatility != "v" for each in found
        )

    # -- relations -------------------------------------------------------------------------------

    def _read(self, name: Name, path: Path) -> Impact:
        if self.names.is_system_relation(name, path):
            return refused(Reason.SYSTEM_CATALOG)
        found = self.names.find_relations(name, path)
        if not found:
            return refused(Reason.UNKNOWN_NAME)
        impact = NOTHING
        for relation in found:
            impact |= self._relation(relation, path)
        return impact

    def _relation(self, relation: rows.Relation, path: Path) -> Impact:
        if relation.kind == "v":
            return self.view(relation.oid, path)
        if relation.kind == "m":
            return Impact(reads=frozenset({relation.oid}))
        impact = NOTHING
        family = self.names.descendants(relation.oid)
        for member in map(self.names.relations.get, family):
            impact |= refused(Reason.UNKNOWN_NAME) if member is None else _KINDS.get(member.kind, NOTHING)
            if member is not None and member.has_row_security:
                impact |= refused(Reason.ROW_SECURITY) | self.hooks(member.oid, path)
        return impact | Impact(reads=frozenset(family))

    def view(self, oid: int, path: Path) -> Impact:
        """Return the impact of the query of a view."""
        key = (oid, path)
        impact = self._views.get(key)
        if impact is None:
            self._views[key] = OPAQUE  # of one that leads back to itself
            text = self.names.definitions.get(oid)
            impact = self._views[key] = OPAQUE if text is None else self._texts([text], path)
        return impact

    def hooks(self, oid: int, path: Path) -> Impact:
        """Return the impact of the functions in defaults, checks and policies of a table."""
        return self._calls(self.names.hooks.get(oid, ()), path)

    # -- functions -------------------------------------------------------------------------------

    def _calls(self, functions: Iterable[Name], path: Path) -> Impact:
        impact = NOTHING
        for name in functions:
            impact |= self.call(name, path)
        return impact

    def call(self, name: Name, path: Path) -> Impact:
        """Return the impact of calling whatever has this name."""
        impact = self._builtin(name)
        for function in self.names.find_functions(name, path):
            found = self._function(function, path)
            impact = found if impact is None else impact | found
        return Impact(Reason.UNKNOWN_NAME, writes=None, is_clean=False) if impact is None else impact

    def _builtin(self, name: Name) -> Impact | None:
        volatility = self.names.builtins.get(name[1])
        if volatility is None or name[0] not in (None, "pg_catalog", "information_schema"):
            return None
        if Effect.ANYTHING in FUNCTION_EFFECTS.get(name[1], Effect.NONE):
            return OPAQUE
        is_kept = volatility == "i" or (volatility == "s" and name[1] in builtins.KEPT_STABLE)
        return NOTHING if is_kept else _VOLATILE

    def _function(self, function: Function, path: Path) -> Impact:
        if isinstance(function, rows.Foreigner):
            return _foreigner(function)
        if isinstance(function, rows.Aggregate):
            return self._calls(function.functions, path)
        key = (id(function), path)
        known = self._functions.get(key)
        if known is None:
            self._functions[key] = OPAQUE  # of one that leads back to itself
            known = self._functions[key] = self._code(function, path)
        return known

    def _code(self, code: rows.Code, path: Path) -> Impact:
        texts, inner_path = texts_of(code), path_of(code, path)
        impact = OPAQUE if texts is None else self._texts(texts, inner_path)
        if code.defaults is not None:
            impact |= self._texts([f"SELECT {code.defaults}"], path)
        if code.volatility == "v":
            impact |= _VOLATILE
        elif code.volatility == "i" and texts is None:
            return _UNCLEAN  # a promise
        return impact

    def _texts(self, texts: Iterable[str], path: Path) -> Impact:
        if self._depth >= _MAX_DEPTH:
            return OPAQUE
        self._depth += 1
        try:
            impact = NOTHING
            for text in texts:
                for statement in classify(text).statements:
                    impact |= self._in_body(statement, path)
            return impact
        finally:
            self._depth -= 1

    def _in_body(self, statement: Statement, path: Path) -> Impact:
        if statement.kind not in _IN_BODIES or statement.effects & _CHANGES_MEANING:
            return OPAQUE
        impact = self.follow(statement, path)
        return impact | _UNCLEAN if statement.effects & ~_TOLD_OUTSIDE else impact


def _of_words(statement: Statement) -> Impact:
    """Return what the text alone tells."""
    names = {name for _, name in statement.types}
    if not names.isdisjoint(builtins.SYSTEM_TYPES):
        return refused(Reason.SYSTEM_CATALOG)
    tells_time = statement.has_clock_literal or not statement.sql_values.isdisjoint(_CLOCK_VALUES)
    if tells_time or statement.samples_rows or not names.isdisjoint(builtins.CLOCK_TYPES):
        return _VOLATILE
    return NOTHING


def _foreigner(function: rows.Foreigner) -> Impact:
    """Return what the catalogue entry of a function in C or the like promises."""
    is_known = function.extension in builtins.HARMLESS_EXTENSIONS and function.name not in builtins.ODD_FUNCTIONS
    is_constant = function.volatility == "i" or (
        is_known and function.volatility == "s" and function.extension in builtins.CONSTANT_EXTENSIONS
    )
    is_immutable = function.volatility == "i"
    writes: frozenset[int] | None = frozenset() if is_known or is_immutable else None
    is_clean = is_known or (is_immutable and function.extension is not None)
    return Impact(None if is_constant else Reason.VOLATILE, writes=writes, is_clean=is_clean)
