"""Collects what a parse tree names, wherever it stands (PURE)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from postgast import pg_query_pb2 as pb

from longshore.sql.builtins import BUILTIN_FUNCTIONS
from longshore.sql.facts import Effect, Name, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Found", "walk"]

_TEMPORARY: Final = "t"
_TEMPORARY_SCHEMA: Final = "pg_temp"
_SETTINGS_VIEW: Final = "pg_settings"
_BUILTIN_SCHEMAS: Final = (None, "pg_catalog", "information_schema")
_SQL_VALUES: Final = {number: name.removeprefix("SVFOP_") for name, number in pb.SQLValueFunctionOp.items()}
# What datetime input reads as a moment that depends on the clock (manual: Special Values).
_CLOCK_WORD: Final = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday|allballs)(?![a-z])", re.IGNORECASE)
_WRITTEN: Final = {
    "InsertStmt": "relation",
    "UpdateStmt": "relation",
    "DeleteStmt": "relation",
    "MergeStmt": "relation",
    "RefreshMatViewStmt": "relation",
    "CreateStmt": "relation",
    "CreateSeqStmt": "sequence",
    "AlterTableStmt": "relation",
    "IndexStmt": "relation",
    "ViewStmt": "view",
    "IntoClause": "rel",
    "CreateTrigStmt": "relation",
    "RuleStmt": "relation",
    "RenameStmt": "relation",
}

_OPERATIONS: Final = {
    "UpdateStmt": (Operation.UPDATE,),
    "DeleteStmt": (Operation.DELETE,),
    "MergeStmt": (Operation.INSERT, Operation.UPDATE, Operation.DELETE),
    "RefreshMatViewStmt": (Operation.REFRESH,),
}
_HAVE_WITH: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_BETWEEN: Final = ("BETWEEN", "NOT BETWEEN")

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
    operations: set[tuple[Operation, Name]] = field(default_factory=set)
    functions: set[Name] = field(default_factory=set)
    operators: set[Name] = field(default_factory=set)
    types: set[Name] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    sql_values: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    effects: Effect = Effect.NONE
    locks_rows: bool = False
    samples_rows: bool = False
    makes_table: bool = False
    has_clock_literal: bool = False
    is_opaque: bool = False
    names_temporary: bool = False
    """The schema of temporary objects is named, or one is made."""


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
        if name in _HAVE_WITH and message.HasField("with_clause"):
            ctes = _with_names(message.with_clause, ctes, stack)
        if (note := _NOTES.get(name)) is not None:
            note(message, found)
        written = _WRITTEN.get(name)
        if written is not None and message.HasField(written):
            _note_written(getattr(message, written), message, name, found)
        for descriptor, value in message.ListFields():
            if descriptor.message_type is None or descriptor.name == written or descriptor.name == "with_clause":
                continue
            stack.extend((child, ctes) for child in (value if descriptor.is_repeated else (value,)))
    return found


def _with_names(clause: Any, ctes: frozenset[str], stack: list[tuple[Any, frozenset[str]]]) -> frozenset[str]:
    """Return the names that hide relations behind a WITH; what they stand for is put on the stack.

    A query in it sees the names before its own, or with RECURSIVE all of them.
    """
    names = frozenset(each.common_table_expr.ctename for each in clause.ctes)
    seen = ctes | names if clause.recursive else ctes
    for each in clause.ctes:
        stack.append((each, seen))
        seen |= {each.common_table_expr.ctename}
    return ctes | names


def _note_written(relation: Any, message: Any, node: str, found: Found) -> None:
    name = _note_relation(relation, frozenset(), found.writes, found)
    if name is not None:
        found.operations.update((each, name) for each in _operations(message, node))


def _operations(message: Any, node: str) -> Iterable[Operation]:
    if node == "InsertStmt":
        is_upsert = message.HasField("on_conflict_clause")
        return (Operation.INSERT, Operation.UPDATE) if is_upsert else (Operation.INSERT,)
    return _OPERATIONS.get(node, ())


def _note_constant(message: Any, found: Found) -> None:
    if message.HasField("sval"):
        found.has_clock_literal |= _CLOCK_WORD.search(message.sval.sval) is not None


def _note_call(message: Any, found: Found) -> None:
    _note_function(message.funcname, found)
    if message.funcname[-1].string.sval == "set_config":
        _note_setting(message.args, found)


def _note_column(message: Any, found: Found) -> None:
    """Note ``a.b``, which may call a function ``b``; a name that stands alone cannot."""
    if len(message.fields) > 1:
        found.attributes.update(_strings(message.fields[1:]))


def _note_indirection(message: Any, found: Found) -> None:
    found.attributes.update(_strings(message.indirection))


def _note_type(message: Any, found: Found) -> None:
    if (name := _qualified(message.names)) is not None:
        found.types.add(name)


def _note_operator(message: Any, found: Found) -> None:
    """Note an operator of an expression, with the two of BETWEEN and the one of IN."""
    if (name := _qualified(message.name)) is not None:
        found.operators.update(((None, ">="), (None, "<=")) if name[1].startswith(_BETWEEN) else (name,))


def _note_sub_select(message: Any, found: Found) -> None:
    if (name := _qualified(message.oper_name)) is not None:
        found.operators.add(name)


def _note_sorting(message: Any, found: Found) -> None:
    if (name := _qualified(message.use_op)) is not None:
        found.operators.add(name)


def _note_lock(_: Any, found: Found) -> None:
    found.locks_rows = True


def _note_sample(_: Any, found: Found) -> None:
    found.samples_rows = True


def _note_string(message: Any, found: Found) -> None:
    found.names_temporary |= message.sval.startswith(_TEMPORARY_SCHEMA)


def _note_into(_: Any, found: Found) -> None:
    found.makes_table = True


def _note_value(message: Any, found: Found) -> None:
    found.sql_values.add(_SQL_VALUES[message.op])


def _note_truncate(message: Any, found: Found) -> None:
    is_cascade = pb.DropBehavior.Name(message.behavior) == "DROP_CASCADE"
    operation = Operation.TRUNCATE_CASCADE if is_cascade else Operation.TRUNCATE
    for each in message.relations:
        name = _note_relation(each.range_var, frozenset(), found.writes, found)
        if name is not None:
            found.operations.add((operation, name))


def _note_copy(message: Any, found: Found) -> None:
    if message.is_from:
        name = _note_relation(message.relation, frozenset(), found.writes, found)
        if name is not None:
            found.operations.add((Operation.INSERT, name))


def _note_setting(args: Any, found: Found) -> None:
    if args and args[0].WhichOneof("node") == "a_const" and args[0].a_const.HasField("sval"):
        found.settings.add(args[0].a_const.sval.sval.lower())
    else:
        found.effects |= Effect.ANYTHING  # which one only the server will know
        found.is_opaque = True


def _note_relation(relation: Any, ctes: frozenset[str], into: set[Name], found: Found) -> Name | None:
    schema = relation.schemaname or None
    if schema is None and relation.relname in ctes:
        return None
    name = (schema, relation.relname)
    into.add(name)
    found.names_temporary |= relation.relpersistence == _TEMPORARY or (schema or "").startswith(_TEMPORARY_SCHEMA)
    if into is found.writes and relation.relname == _SETTINGS_VIEW:
        found.effects |= Effect.ANYTHING  # its rule calls set_config()
        found.is_opaque = True
    # Reading a temporary table needs nothing but the connection that has it, which its making has pinned.
    if into is found.writes and (relation.relpersistence == _TEMPORARY or (schema or "").startswith(_TEMPORARY_SCHEMA)):
        found.effects |= Effect.TEMPORARY
    return name


def _note_function(parts: Iterable[Any], found: Found) -> None:
    names = [part.string.sval for part in parts]
    schema = names[-2] if len(names) > 1 else None
    found.functions.add((schema, names[-1]))
    effects = FUNCTION_EFFECTS.get(names[-1])
    if effects is not None:
        found.effects |= effects
        found.is_opaque |= Effect.ANYTHING in effects
    elif schema not in _BUILTIN_SCHEMAS or names[-1] not in BUILTIN_FUNCTIONS:
        found.effects |= Effect.ANYTHING  # code of a user


def _strings(nodes: Any) -> Iterator[str]:
    return (each.string.sval for each in nodes if each.HasField("string"))


def _qualified(parts: Any) -> Name | None:
    names = list(_strings(parts))
    if not names:
        return None
    return (names[-2] if len(names) > 1 else None, names[-1])


_NOTES: Final[dict[str, Callable[[Any, Found], None]]] = {
    "A_Const": _note_constant,
    "A_Expr": _note_operator,
    "A_Indirection": _note_indirection,
    "ColumnRef": _note_column,
    "CopyStmt": _note_copy,
    "FuncCall": _note_call,
    "IntoClause": _note_into,
    "LockingClause": _note_lock,
    "RangeTableSample": _note_sample,
    "SQLValueFunction": _note_value,
    "SortBy": _note_sorting,
    "String": _note_string,
    "SubLink": _note_sub_select,
    "TruncateStmt": _note_truncate,
    "TypeName": _note_type,
}
