"""What the database knows about the names in a statement (PURE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from longshore.pool.cache.model import Reason
from longshore.pool.catalogue.analysis import Analysis
from longshore.pool.catalogue.paths import session_path
from longshore.pool.catalogue.plan import ReadPlan
from longshore.sql.facts import Effect, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.pool.catalogue.names import Names, Path
    from longshore.sql.facts import Name, Operation, Statement, TextFacts

__all__ = ["Catalogue"]

_FOLLOWED: Final = frozenset(
    {Kind.READ, Kind.WRITE, Kind.COPY_IN, Kind.COPY_OUT, Kind.DECLARE, Kind.EXPLAIN, Kind.CALL}
)
_UNFOLLOWED: Final = frozenset({Kind.DDL, Kind.EXECUTE, Kind.TWO_PHASE, Kind.UNKNOWN})
_CHANGING: Final = frozenset({Kind.DDL, Kind.CALL, Kind.UNKNOWN})
_NO_ROWS: Final[frozenset[int]] = frozenset()


class Catalogue:
    """One state of a database's catalogue.

    It is valid as long as ``epoch`` is that of the pool (``PoolShared.epoch``); use ``PoolShared.known_catalogue()``.

    Args:
        names: what there is; it must not change any more.
        epoch: of the pool, before the rows were asked for.
    """

    def __init__(self, names: Names, epoch: int) -> None:
        self.epoch = epoch
        self.is_used = False
        """Somebody has taken it out of ``PoolShared`` since this was last set to False."""
        self.names = names
        self._analysis = Analysis(names)

    def search_path(self, settings: Mapping[str, str]) -> Path:
        """Return where a session looks for names, without temporary schemas; None when that cannot be told.

        What a SET LOCAL or a transaction that is not over does to it is not in the settings.

        Args:
            settings: of the session: name → statement (``Belongings.settings``).
        """
        return session_path(self.names.head, settings)

    def read_plan(self, statement: Statement, search_path: Path) -> ReadPlan | Reason:
        """Return on what the result of a statement depends, or why it must not be kept."""
        if statement.kind is not Kind.READ or not statement.is_query:
            is_select = statement.is_query and not statement.writes
            return Reason.LOCKS_ROWS if is_select and statement.locks_rows else Reason.NOT_A_READ
        if search_path is None:
            return Reason.UNKNOWN_NAME
        impact = self._analysis.statement(statement, search_path)
        return ReadPlan(impact.reads) if impact.reason is None else impact.reason

    def written(self, statement: Statement, search_path: Path, *, has_temporary: bool = False) -> frozenset[int] | None:
        """Return the relations whose readers become stale; None: all of them may.

        That is what a statement does itself. Of PREPARE it is nothing, and of EXECUTE everything: ask about
        ``Statement.inner`` of the former instead.

        Args:
            statement: what was run.
            search_path: of the session; None when it is not known, which makes the answer longer.
            has_temporary: the session has temporary tables: a name that nobody knows is that of one.
        """
        if statement.kind in _FOLLOWED:
            if has_temporary and (known := self._known_operations(statement, search_path)) != statement.operations:
                return self._analysis.follow(replace(statement, operations=known), search_path).writes
            return self._analysis.statement(statement, search_path).writes
        return None if statement.kind in _UNFOLLOWED else _NO_ROWS

    def is_harmless(self, function: Name, search_path: Path) -> bool:
        """Return whether a function leaves nothing behind in the session that calls it."""
        return self._analysis.call(function, search_path).is_clean

    def leaves_nothing(self, facts: TextFacts, search_path: Path) -> bool:
        """Return whether the code of users that a text runs leaves nothing behind in the session.

        That is about ``Effect.ANYTHING`` only: what built-in functions and statements leave is in ``facts.effects``.
        """
        return all(self._is_clean(statement, search_path) for statement in facts.statements)

    def changes_catalogue(self, facts: TextFacts, search_path: Path = None) -> bool:
        """Return whether a text may change the catalogue; of what it calls, only what can be looked into does not."""
        return facts.changes_catalogue and not all(
            statement.kind is Kind.CALL and self._is_clean(statement, search_path)
            for statement in facts.statements
            if statement.kind in _CHANGING
        )

    def _is_clean(self, statement: Statement, path: Path) -> bool:
        if Effect.ANYTHING not in statement.effects:
            return True
        return statement.kind in _FOLLOWED and self._analysis.statement(statement, path).is_clean

    def _known_operations(self, statement: Statement, path: Path) -> frozenset[tuple[Operation, Name]]:
        return frozenset(each for each in statement.operations if self.names.find_relations(each[1], path))
