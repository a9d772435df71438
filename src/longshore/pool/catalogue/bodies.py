"""The bodies of functions as SQL texts, so that one can see what they do (PURE)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import postgast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.pool.catalogue.rows import Code

__all__ = ["texts_of"]

_TRIGGER: Final = (
    "(new record, old record, tg_name name, tg_when text, tg_level text, tg_op text, tg_relid oid,"
    " tg_relname name, tg_table_name name, tg_table_schema name, tg_nargs integer, tg_argv text[])"
    " RETURNS record"
)
# They run texts that are made at run time, or end the transaction.
_OPAQUE: Final = frozenset({"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "dynquery", "PLpgSQL_stmt_call"})
_ENDS: Final = frozenset({"PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback"})
_STATEMENT, _EXPRESSION = 0, 2
_ATOMIC: Final = re.compile(r"\s*BEGIN\s+ATOMIC\b(.*)\bEND\s*\Z", re.IGNORECASE | re.DOTALL)
# The parser, which has no catalogue, does not know what fields it has.
_ROW_TYPE: Final = re.compile(r'(?:\w+|"[^"]+")(?:\.(?:\w+|"[^"]+"))*\s*%\s*ROWTYPE\b', re.IGNORECASE)
_RETURN: Final = re.compile(r"\s*RETURN\b", re.IGNORECASE)


def texts_of(code: Code) -> list[str] | None:
    """Return everything that the body of a function runs; None when that cannot be told."""
    if code.text is None:
        return None
    if code.language == "sql":
        return [_sql_body(code.text)]
    header = _TRIGGER if code.header is None else code.header
    source = f"CREATE FUNCTION f{header} LANGUAGE plpgsql AS {_dollars(_ROW_TYPE.sub('record', code.text))}"
    try:
        trees = postgast.parse_plpgsql(source)
    except (postgast.PgQueryError, ValueError, RecursionError):
        return None
    try:
        return list(_expressions(trees))
    except _OpaqueError:
        return None


class _OpaqueError(Exception):
    pass


def _sql_body(text: str) -> str:
    """Return the statements of a body; those of the SQL standard's form stand in a frame."""
    if (match := _ATOMIC.match(text)) is not None:
        return match[1]
    return _RETURN.sub("SELECT", text, count=1)


def _dollars(text: str) -> str:
    tag = "$body$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{text}{tag}"


def _expressions(tree: Any) -> Iterator[str]:
    """Walk over libpg_query's tree of a function."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if not node.keys().isdisjoint(_OPAQUE) or not node.keys().isdisjoint(_ENDS):
                raise _OpaqueError
            if "PLpgSQL_expr" in node:
                yield from _texts(node["PLpgSQL_expr"])
            waiting += node.values()


def _texts(expression: Any) -> Iterator[str]:
    query, mode = expression["query"], expression.get("parseMode", _STATEMENT)
    if mode == _STATEMENT:
        yield query
    elif mode == _EXPRESSION:
        yield f"SELECT {query}"
    else:  # an assignment
        left, right = _sides(query)
        yield f"SELECT {left}"
        yield f"SELECT {right}"


def _sides(assignment: str) -> tuple[str, str]:
    """Split at the := or = that stands outside of brackets and quotes."""
    depth, quote = 0, ""
    for at, char in enumerate(assignment):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
        elif char == "=" and not depth:
            return assignment[:at].rstrip(": "), assignment[at + 1 :]
    raise _OpaqueError
