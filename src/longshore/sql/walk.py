"""Collects what a parse tree names, wherever it stands (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from postgast import pg_query_pb2 as pb

from longshore.sql.builtins import BUILTIN_FUNCTIONS
from longshore.sql.facts import Effect, Name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Found", "walk"]

_TEMPORARY: Final = "t"
_BUILTIN_SCHEMAS: Final = (None, "pg_catalog", "information_schema")
_SQL_VALUES: Final = {number: name.removeprefix("SVFOP_") for name, number in pb.SQLValueFunctionOp.items()}
# What datetime input reads as a moment that depends on the clock (manual: Special Values).
_CLOCK_WORDS: Final = frozenset({"now", "today", "tomorrow", "yesterday", "allballs"})
_WRITTEN: Final = {
    "InsertStmt": "relation",
    "UpdateStmt": "relation",
    "DeleteStmt": "relation",
    "MergeStmt": "relation",
    "RefreshMatViewStmt": "relation",
    "CreateStmt": "relation",
    "AlterTableStmt": "relation",
    "IndexStmt": "relation",
    "ViewStmt": "view",
    "IntoClause": "rel",
    "CreateTrigStmt": "relation",
    "RuleStmt": "relation",
    "RenameStmt": "relation",
}

FUNCTION_EFFECTS: Final[dict[str, Effect]] = {
    "set_config": Effect.SETTINGS,
    "nextval": Effect.SEQUENCE_MOVES,
    "setval": Effect.SEQUENCE_MOVES,
    "currval": Effect.SEQUENCE_IS_READ,
    "lastval": Effect.SEQUENCE_IS_READ,
    "pg_advisory_lock": Effect.ADVISORY_LOCK,
    "pg_advisory_lock_shared": Effect.ADVISORY_LOCK,
    "pg_try_advisory_lock": Effect.ADVISORY_LOCK,
    "pg_try_advisory_lock_shared": Effect.ADVISORY_LOCK,
    "pg_advisory_unlock": Effect.ADVISORY_LOCK,
    "pg_advisory_unlock_shared": Effect.ADVISORY_LOCK,
    "pg_advisory_unlock_all": Effect.ADVISORY_LOCK,
    "pg_backend_pid": Effect.BACKEND_PID,
    "pg_cancel_backend": Effect.BACKEND_PID,
    "pg_terminate_backend": Effect.BACKEND_PID,
    "pg_listening_channels": Effect.LISTENS,
    "pg_my_temp_schema": Effect.TEMPORARY,
    "dblink_connect": Effect.ANYTHING,
    "dblink_connect_u": Effect.ANYTHING,
    "pg_notify": Effect.NOTIFIES,
    "setseed": Effect.LIBRARY,
    "pg_replication_origin_session_setup": Effect.LIBRARY,
    # They run what a text says.
    "query_to_xml": Effect.ANYTHING,
    "query_to_xmlschema": Effect.ANYTHING,
    "query_to_xml_and_xmlschema": Effect.ANYTHING,
    "ts_stat": Effect.ANYTHING,
    "ts_rewrite": Effect.ANYTHING,
}
"""Of built-in functions, by name; one of a user that has the same name is taken for it, which errs to the safe side."""


@dataclass(slots=True)
class Found:
    """What a walk collects."""

    reads: set[Name] = field(default_factory=set)
    writes: set[Name] = field(default_factory=set)
    functions: set[Name] = field(default_factory=set)
    sql_values: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    effects: Effect = Effect.NONE
    locks_rows: bool = False
    makes_table: bool = False
    has_clock_literal: bool = False


def walk(root: Any) -> Found:
    """Return what is named below ``root``, a message of libpg_query.

    Without recursion: a text of a few kilobytes can nest deeper than Python allows.
    """
    found = Found()
    stack: list[tuple[Any, frozenset[str]]] = [(root, frozenset())]
    while stack:
        message, ctes = stack.pop()
        name = message.DESCRIPTOR.name
        if name == "RangeVar":
            _note_relation(message, ctes, found.reads, found)
            continue
        ctes = _with_names(message, ctes)
        _note(name, message, ctes, found)
        written = _WRITTEN.get(name)
        for descriptor, value in message.ListFields():
            if descriptor.message_type is None or descriptor.name == written:
                continue
            stack.extend((child, ctes) for child in (value if descriptor.is_repeated else (value,)))
    return found


def _with_names(message: Any, ctes: frozenset[str]) -> frozenset[str]:
    if "with_clause" not in message.DESCRIPTOR.fields_by_name or not message.HasField("with_clause"):
        return ctes
    return ctes | {each.common_table_expr.ctename for each in message.with_clause.ctes}


def _note(name: str, message: Any, ctes: frozenset[str], found: Found) -> None:
    if (written := _WRITTEN.get(name)) is not None and message.HasField(written):
        _note_relation(getattr(message, written), frozenset(), found.writes, found)
    if name == "FuncCall":
        _note_function(message.funcname, found)
        if message.funcname[-1].string.sval == "set_config":
            _note_setting(message.args, found)
    elif name == "SQLValueFunction":
        found.sql_values.add(_SQL_VALUES[message.op])
    elif name == "LockingClause":
        found.locks_rows = True
    elif name == "IntoClause":
        found.makes_table = True
    elif name in ("CopyStmt", "TruncateStmt"):
        _note_bulk(name, message, found)
    elif name == "A_Const" and message.HasField("sval"):
        word = message.sval.sval.strip().lower()
        found.has_clock_literal |= any(part in _CLOCK_WORDS for part in word.split())


def _note_bulk(name: str, message: Any, found: Found) -> None:
    """Note what is filled or emptied as a whole."""
    if name == "TruncateStmt":
        for each in message.relations:
            _note_relation(each.range_var, frozenset(), found.writes, found)
    elif message.is_from:
        _note_relation(message.relation, frozenset(), found.writes, found)


def _note_setting(args: Any, found: Found) -> None:
    if args and args[0].WhichOneof("node") == "a_const" and args[0].a_const.HasField("sval"):
        found.settings.add(args[0].a_const.sval.sval.lower())
    else:
        found.effects |= Effect.ANYTHING  # which one only the server will know


def _note_relation(relation: Any, ctes: frozenset[str], into: set[Name], found: Found) -> None:
    schema = relation.schemaname or None
    if schema is None and relation.relname in ctes:
        return
    into.add((schema, relation.relname))
    # Reading a temporary table needs nothing but the connection that has it, which its making has pinned.
    if into is found.writes and (relation.relpersistence == _TEMPORARY or schema == "pg_temp"):
        found.effects |= Effect.TEMPORARY


def _note_function(parts: Iterable[Any], found: Found) -> None:
    names = [part.string.sval for part in parts]
    schema = names[-2] if len(names) > 1 else None
    found.functions.add((schema, names[-1]))
    if schema in _BUILTIN_SCHEMAS and names[-1] in BUILTIN_FUNCTIONS:
        found.effects |= FUNCTION_EFFECTS.get(names[-1], Effect.NONE)
    else:
        found.effects |= FUNCTION_EFFECTS.get(names[-1], Effect.ANYTHING)  # code of a user
