"""What each kind of statement is to a pool: tables by the node of the parser (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from postgast import pg_query_pb2 as pb

from longshore.sql.facts import Effect, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.sql.facts import Statement

__all__ = ["SIMPLE_KINDS", "describe"]

_DDL: Final = (
    "create_schema alter_table replica_identity alter_collation alter_domain grant grant_role"
    " alter_default_privileges create create_table_space drop_table_space alter_table_space_options"
    " alter_table_move_all create_extension alter_extension alter_extension_contents create_fdw alter_fdw"
    " create_foreign_server alter_foreign_server create_foreign_table create_user_mapping alter_user_mapping"
    " drop_user_mapping import_foreign_schema create_policy alter_policy create_am create_trig create_event_trig"
    " alter_event_trig create_plang create_role alter_role alter_role_set drop_role create_seq alter_seq define"
    " create_domain create_op_class create_op_family alter_op_family drop comment sec_label index"
    " create_stats alter_stats create_function alter_function rename alter_object_depends alter_object_schema"
    " alter_owner alter_operator alter_type rule composite_type create_enum create_range alter_enum view"
    " alter_database alter_database_refresh_coll alter_database_set alter_system create_table_as"
    " create_conversion create_cast create_transform drop_owned reassign_owned alter_tsdictionary"
    " alter_tsconfiguration create_publication alter_publication create_subscription alter_subscription"
    " drop_subscription"
)

SIMPLE_KINDS: Final[dict[str, Kind]] = {
    "select_stmt": Kind.READ,
    "insert_stmt": Kind.WRITE,
    "update_stmt": Kind.WRITE,
    "delete_stmt": Kind.WRITE,
    "merge_stmt": Kind.WRITE,
    "truncate_stmt": Kind.WRITE,
    "refresh_mat_view_stmt": Kind.WRITE,
    "vacuum_stmt": Kind.MAINTENANCE,
    "check_point_stmt": Kind.MAINTENANCE,
    "reindex_stmt": Kind.MAINTENANCE,
    "cluster_stmt": Kind.MAINTENANCE,
    "lock_stmt": Kind.LOCK,
    **{f"{each}_stmt": Kind.DDL for each in _DDL.split() if each not in ("drop", "rename")},
}
"""Statements of which nothing but the walk over the tree is to be known."""

_CURSOR_HOLD: Final = 0x20  # CURSOR_OPT_HOLD of parsenodes.h

_TRANSACTIONS: Final = {
    "TRANS_STMT_BEGIN": Kind.BEGIN,
    "TRANS_STMT_START": Kind.BEGIN,
    "TRANS_STMT_COMMIT": Kind.COMMIT,
    "TRANS_STMT_ROLLBACK": Kind.ROLLBACK,
    "TRANS_STMT_SAVEPOINT": Kind.SAVEPOINT,
    "TRANS_STMT_RELEASE": Kind.SAVEPOINT,
    "TRANS_STMT_ROLLBACK_TO": Kind.SAVEPOINT,
    "TRANS_STMT_PREPARE": Kind.TWO_PHASE,
    "TRANS_STMT_COMMIT_PREPARED": Kind.TWO_PHASE,
    "TRANS_STMT_ROLLBACK_PREPARED": Kind.TWO_PHASE,
}
_DISCARDS: Final = {
    "DISCARD_ALL": "all",
    "DISCARD_PLANS": "plans",
    "DISCARD_SEQUENCES": "sequences",
    "DISCARD_TEMP": "temp",
}
# They hold for the next or the present transaction only, whatever is written.
_OF_TRANSACTION: Final = frozenset(
    {"transaction", "transaction_isolation", "transaction_read_only", "transaction_deferrable"}
)


def describe(which: str, value: Any, inner: Statement | None) -> dict[str, Any]:
    """Return fields of ``Statement`` for a node that is not in ``SIMPLE_KINDS``."""
    describer = _DESCRIBERS.get(which)
    if describer is None:
        return {"kind": Kind.UNKNOWN, "effects": Effect.ANYTHING}
    return describer(value, inner)


def _transaction(value: Any, _: Statement | None) -> dict[str, Any]:
    kind = _TRANSACTIONS.get(pb.TransactionStmtKind.Name(value.kind), Kind.UNKNOWN)
    return {"kind": kind, "name": value.savepoint_name or value.gid, "is_chained": value.chain}


def _variable_set(value: Any, _: Statement | None) -> dict[str, Any]:
    name = value.name.lower()
    kind = pb.VariableSetKind.Name(value.kind)
    if kind == "VAR_RESET_ALL":
        return {"kind": Kind.RESET, "name": "all", "effects": Effect.SETTINGS}
    if kind == "VAR_RESET":
        return {"kind": Kind.RESET, "name": name, "effects": Effect.SETTINGS}
    if kind == "VAR_SET_MULTI" and name in ("transaction", "transaction snapshot"):
        return {"kind": Kind.SET, "name": name, "is_local": True}
    if name in _OF_TRANSACTION or value.is_local:
        return {"kind": Kind.SET, "name": name, "is_local": True}
    if kind == "VAR_SET_DEFAULT":
        return {"kind": Kind.RESET, "name": name, "effects": Effect.SETTINGS}
    values = _setting(value)
    return {
        "kind": Kind.SET,
        "name": name,
        "value": ", ".join(values) if values else None,
        "values": values,
        "effects": Effect.SETTINGS,
    }


def _setting(value: Any) -> tuple[str, ...]:
    """Return the values of a SET with plain constants; none where it takes the server to know."""
    parts: list[str] = []
    for arg in value.args:
        which = arg.WhichOneof("node")
        if which != "a_const":
            return ()
        constant = arg.a_const
        kind = constant.WhichOneof("val")
        if kind == "sval":
            parts.append(constant.sval.sval)
        elif kind == "ival":
            parts.append(str(constant.ival.ival))
        elif kind == "fval":
            parts.append(constant.fval.fval)
        else:
            return ()
    return tuple(parts)


def _drop(value: Any, _: Statement | None) -> dict[str, Any]:
    # Whether it is a temporary table that goes nobody can tell from the text.
    return {"kind": Kind.DDL, "effects": Effect.NONE, "name": pb.ObjectType.Name(value.remove_type)}


def _createdb(value: Any, _: Statement | None) -> dict[str, Any]:
    """CREATE DATABASE copies one in which nobody may be."""
    options = [option.def_elem for option in value.options]
    template = next((each.arg.string.sval for each in options if each.defname == "template"), "template1")
    return {"kind": Kind.DDL, "name": template, "effects": Effect.DATABASE}


def _renamed_database(value: Any) -> dict[str, Any]:
    if pb.ObjectType.Name(value.rename_type) != "OBJECT_DATABASE":
        return {}
    return {"name": value.subname, "effects": Effect.DATABASE}


def _declare(value: Any, _: Statement | None) -> dict[str, Any]:
    effects = Effect.HOLD_CURSOR if value.options & _CURSOR_HOLD else Effect.NONE
    return {"kind": Kind.DECLARE, "name": value.portalname, "effects": effects}


def _copy(value: Any, inner: Statement | None) -> dict[str, Any]:
    if value.is_program or value.filename:
        return {"kind": Kind.WRITE if value.is_from else Kind.READ}
    return {"kind": Kind.COPY_IN if value.is_from else Kind.COPY_OUT}


def _explain(value: Any, inner: Statement | None) -> dict[str, Any]:
    runs = any(option.def_elem.defname == "analyze" and not _is_off(option.def_elem) for option in value.options)
    if inner is None or (runs and inner.kind is not Kind.READ):
        return {"kind": Kind.EXPLAIN}
    return {"kind": Kind.READ}


def _is_off(option: Any) -> bool:
    if not option.HasField("arg"):
        return False
    which = option.arg.WhichOneof("node")
    if which == "string":
        return str(option.arg.string.sval).lower() in ("false", "off")
    return which == "integer" and int(option.arg.integer.ival) == 0


def _named(kind: Kind, field: str, effects: Effect = Effect.NONE) -> Callable[[Any, Statement | None], dict[str, Any]]:
    return lambda value, _: {"kind": kind, "name": getattr(value, field), "effects": effects}


_DESCRIBERS: Final[dict[str, Callable[[Any, Any], dict[str, Any]]]] = {
    "transaction_stmt": _transaction,
    "variable_set_stmt": _variable_set,
    "variable_show_stmt": _named(Kind.SHOW, "name"),
    "drop_stmt": _drop,
    "dropdb_stmt": _named(Kind.DDL, "dbname", Effect.DATABASE),
    "createdb_stmt": _createdb,
    "rename_stmt": lambda value, _: {"kind": Kind.DDL, **_renamed_database(value)},
    "prepare_stmt": _named(Kind.PREPARE, "name", Effect.PREPARED),
    "execute_stmt": _named(Kind.EXECUTE, "name"),
    "deallocate_stmt": _named(Kind.DEALLOCATE, "name", Effect.PREPARED),
    "discard_stmt": lambda value, _: {
        "kind": Kind.DISCARD,
        "name": _DISCARDS.get(pb.DiscardMode.Name(value.target), "all"),
        "effects": Effect.SETTINGS | Effect.TEMPORARY,
    },
    "listen_stmt": _named(Kind.LISTEN, "conditionname", Effect.LISTENS),
    "unlisten_stmt": _named(Kind.UNLISTEN, "conditionname", Effect.LISTENS),
    "notify_stmt": _named(Kind.NOTIFY, "conditionname", Effect.NOTIFIES),
    "declare_cursor_stmt": _declare,
    "fetch_stmt": _named(Kind.FETCH, "portalname"),
    "close_portal_stmt": _named(Kind.CLOSE, "portalname", Effect.HOLD_CURSOR),
    "copy_stmt": _copy,
    "explain_stmt": _explain,
    "call_stmt": lambda value, _: {"kind": Kind.CALL, "effects": Effect.ANYTHING},
    "do_stmt": lambda value, _: {"kind": Kind.CALL, "effects": Effect.ANYTHING},
    "load_stmt": _named(Kind.WRITE, "filename", Effect.LIBRARY),
    # Only inside of a transaction does it mean anything.
    "constraints_set_stmt": lambda value, _: {"kind": Kind.SET, "name": "constraints", "is_local": True},
}
