"""What is known about an SQL text without asking a database (PURE values).

Everything here errs to one side: what the parser cannot read has the kind ``UNKNOWN``, which may do anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Final

__all__ = ["UNKNOWN_TEXT", "Effect", "Kind", "Name", "Operation", "Statement", "TextFacts"]


class Kind(Enum):
    """What a statement is, as far as a pool or a cache treats it in its own way."""

    READ = auto()
    """SELECT, VALUES, TABLE, SHOW, EXPLAIN without ANALYZE, and nothing in them writes."""
    WRITE = auto()
    """INSERT, UPDATE, DELETE, MERGE, also inside WITH; SELECT … FOR UPDATE; TRUNCATE; REFRESH MATERIALIZED VIEW."""
    DDL = auto()
    """Changes the catalogue: CREATE, ALTER, DROP, GRANT …"""
    MAINTENANCE = auto()
    """VACUUM, ANALYZE, CHECKPOINT, REINDEX, CLUSTER: the catalogue and the rows stay."""
    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()
    """SAVEPOINT, RELEASE, ROLLBACK TO."""
    TWO_PHASE = auto()
    """PREPARE TRANSACTION (which ends the transaction), COMMIT PREPARED, ROLLBACK PREPARED."""
    SET = auto()
    """SET name = value, SET SESSION AUTHORIZATION, SET ROLE, SET TRANSACTION: see ``Statement.name``."""
    RESET = auto()
    """RESET name; RESET ALL has the name ``"all"``."""
    SHOW = auto()
    PREPARE = auto()
    EXECUTE = auto()
    DEALLOCATE = auto()
    """DEALLOCATE ALL has an empty name."""
    DISCARD = auto()
    """``name`` is ``"all"``, ``"plans"``, ``"sequences"`` or ``"temp"``."""
    LISTEN = auto()
    UNLISTEN = auto()
    """UNLISTEN * has an empty name."""
    NOTIFY = auto()
    DECLARE = auto()
    FETCH = auto()
    """FETCH and MOVE."""
    CLOSE = auto()
    """CLOSE ALL has an empty name."""
    COPY_IN = auto()
    COPY_OUT = auto()
    LOCK = auto()
    CALL = auto()
    """CALL and DO: code of a user, which may do anything."""
    EXPLAIN = auto()
    """With ANALYZE, of anything but a read."""
    UNKNOWN = auto()
    """The parser does not understand it, or knows it and we do not."""


class Effect(Flag):
    """What of a session a statement may change or need, so that it matters which server connection it had."""

    NONE = 0
    SETTINGS = auto()
    """Parameters, role or session user, for longer than the transaction."""
    ADVISORY_LOCK = auto()
    """Takes or gives back locks that outlive the transaction."""
    TEMPORARY = auto()
    """Makes or drops temporary objects."""
    HOLD_CURSOR = auto()
    """Opens or closes a cursor that outlives the transaction."""
    PREPARED = auto()
    """SQL's PREPARE and DEALLOCATE."""
    LISTENS = auto()
    SEQUENCE_MOVES = auto()
    """nextval, setval; an INSERT may do it by a default."""
    SEQUENCE_IS_READ = auto()
    """currval, lastval: asks what this session did before."""
    BACKEND_PID = auto()
    """Asks for the process id, or names one."""
    LIBRARY = auto()
    """LOAD: stays loaded."""
    DATABASE = auto()
    """Drops, renames or copies the database ``Statement.name``, in which nobody may be."""
    NOTIFIES = auto()
    """Those who listen are told the process id."""
    ANYTHING = auto()
    """Runs code that we cannot see into."""


class Operation(Enum):
    """What is done to the rows of a relation."""

    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()
    TRUNCATE = auto()
    TRUNCATE_CASCADE = auto()
    REFRESH = auto()


Name = tuple[str | None, str]
"""Schema, None where the statement leaves it to ``search_path``; and name, both folded as PostgreSQL does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a text."""

    kind: Kind
    start: int = 0
    """Where it is in the text, in bytes of its UTF-8 form."""
    end: int = 0
    name: str = ""
    """Of the parameter, the prepared statement, the channel, the cursor, the savepoint."""
    value: str | None = None
    """Of SET, where it is a plain list of constants: as ``current_setting`` would spell it, None otherwise."""
    is_local: bool = False
    """SET LOCAL, SET TRANSACTION."""
    is_chained: bool = False
    """COMMIT AND CHAIN, ROLLBACK AND CHAIN."""
    effects: Effect = Effect.NONE
    reads: frozenset[Name] = frozenset()
    """Relations, names of WITH left out."""
    writes: frozenset[Name] = frozenset()
    functions: frozenset[Name] = frozenset()
    """Everything that is called by name."""
    inner: Statement | None = None
    """Of PREPARE, EXPLAIN, DECLARE and COPY (query): what it holds."""
    has_clock_literal: bool = False
    """A text constant that a cast may read as a moment: 'now', 'today' …"""
    settings: frozenset[str] = frozenset()
    """First arguments of set_config(), where they are constants."""
    sql_values: frozenset[str] = frozenset()
    """current_date, current_user …: functions without parentheses, by their upper-case names."""
    is_query: bool = False
    """SELECT, VALUES or TABLE themselves, not something that contains them."""
    operations: frozenset[tuple[Operation, Name]] = frozenset()
    """What is done to rows: by INSERT and the like, wherever it stands; nothing of what DDL does."""
    operators: frozenset[Name] = frozenset()
    """Those that are written; sorting and grouping have theirs without being written."""
    types: frozenset[Name] = frozenset()
    """Of casts, and whatever else names one."""
    attributes: frozenset[str] = frozenset()
    """What stands behind a dot: a column, or a function that is called that way."""
    locks_rows: bool = False
    samples_rows: bool = False
    """TABLESAMPLE."""
    is_opaque: bool = False
    """``Effect.ANYTHING`` comes from more than functions of users that are called by name."""
    values: tuple[str, ...] = ()
    """Of SET, where they are constants: one by one, as they were written."""

    @property
    def executes(self) -> str:
        """The prepared statement that EXECUTE runs, or EXPLAIN or CREATE TABLE AS; empty: none."""
        if self.kind is Kind.EXECUTE:
            return self.name
        return self.inner.name if self.inner is not None and self.inner.kind is Kind.EXECUTE else ""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """All statements of a text, in their order."""

    statements: tuple[Statement, ...]
    effects: Effect
    """Of all of them together."""
    is_plain: bool = field(default=False)
    """One statement (or none) that neither begins nor ends a transaction, nor leaves anything in the session: it may
    run on any server connection, and the connection is free afterwards."""

    changes_catalogue: bool = field(default=False)
    """It may make, change or drop what other statements name; temporary objects apart, which only this session has."""
    reads_prepared: bool = field(default=False)
    """It looks at the list of prepared statements, where those of the pool would stand."""
    moves_sequence: bool = field(default=False)
    """It may take a value of a sequence, of which currval() and lastval() tell."""

    @property
    def single(self) -> Statement | None:
        """The statement, when there is just one."""
        return self.statements[0] if len(self.statements) == 1 else None


UNKNOWN_TEXT: Final = TextFacts((Statement(kind=Kind.UNKNOWN, effects=Effect.ANYTHING),), Effect.ANYTHING)
"""Of a text that the parser refuses. The server will probably refuse it too, but that is not for us to say."""
