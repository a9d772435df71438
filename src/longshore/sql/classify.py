"""From an SQL text to ``TextFacts``, with PostgreSQL's own parser (PURE, by way of a C library).

Theory of operation. The tree of libpg_query is a protobuf message. One walk over each statement collects the names of
relations and functions and whatever else has an effect, wherever it stands (a WITH that writes, a SELECT INTO, a
FOR UPDATE). What the statement itself is comes from a table by the kind of its node. A node that stands in no table
makes the statement ``UNKNOWN``, which is treated as if it could do anything.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import postgast
from google.protobuf.message import DecodeError
from postgast import pg_query_pb2 as pb

from longshore.sql.facts import UNKNOWN_TEXT, Effect, Kind, Statement, TextFacts
from longshore.sql.statements import SIMPLE_KINDS, describe
from longshore.sql.walk import Found, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["classify", "classify_uncached"]

_CACHED_TEXTS: Final = 20_000
_MAX_CACHED_CHARS: Final = 20_000
_PLAIN: Final = frozenset({Kind.READ, Kind.WRITE, Kind.DDL, Kind.MAINTENANCE, Kind.SHOW, Kind.NOTIFY, Kind.EXPLAIN})

_LIST: Final = (None, "pg_prepared_statements")
_CHANGING_KINDS: Final = frozenset({Kind.DDL, Kind.CALL, Kind.UNKNOWN})
_MOVING: Final = Effect.SEQUENCE_MOVES | Effect.ANYTHING
_MOVING_KINDS: Final = frozenset({Kind.WRITE, Kind.COPY_IN, Kind.EXECUTE, Kind.EXPLAIN, Kind.FETCH})

# Clients that write values into their texts send a new one each time. Numbers that stand alone change nothing about
# what a query does; a text with anything in which a digit could mean something else is left as it is.
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?![\w.])")
_QUERY_WITH_NUMBERS: Final = re.compile(r"\s*(?:select|insert|update|delete|with)\b[^'\"$\\]*\Z", re.IGNORECASE)


def classify(text: str) -> TextFacts:
    """Return what ``text`` does. Never raises: what cannot be read is ``UNKNOWN_TEXT``."""
    if len(text) > _MAX_CACHED_CHARS:
        return classify_uncached(text)
    if _QUERY_WITH_NUMBERS.match(text) is not None:
        facts = _classify_cached(_NUMBER.sub("0", text))
        if facts.is_plain:  # otherwise somebody will ask where its statements are
            return facts
    return _classify_cached(text)


def classify_uncached(text: str) -> TextFacts:
    """The same without looking into the cache."""
    if "\0" in text:
        return UNKNOWN_TEXT
    try:
        tree = postgast.parse(text)
    except (postgast.PgQueryError, DecodeError, UnicodeEncodeError, RecursionError, ValueError):
        return UNKNOWN_TEXT
    try:
        statements = tuple(_statements(tree, len(text.encode())))
    except RecursionError:
        return UNKNOWN_TEXT
    effects = Effect.NONE
    for statement in statements:
        effects |= statement.effects
    reads_prepared = any(_LIST in each.reads or ("pg_catalog", _LIST[1]) in each.reads for each in statements)
    is_plain = not (effects or reads_prepared) and (
        not statements or (len(statements) == 1 and statements[0].kind in _PLAIN)
    )
    return TextFacts(
        statements,
        effects,
        is_plain,
        reads_prepared=reads_prepared,
        changes_catalogue=any(map(_changes_catalogue, statements)),
        moves_sequence=bool(effects & _MOVING) or any(each.kind in _MOVING_KINDS for each in statements),
    )


def _changes_catalogue(statement: Statement) -> bool:
    return statement.kind in _CHANGING_KINDS and not statement.effects & Effect.TEMPORARY


_classify_cached = lru_cache(maxsize=_CACHED_TEXTS)(classify_uncached)


def _statements(tree: Any, size: int) -> Iterator[Statement]:
    for raw in tree.stmts:
        start = raw.stmt_location
        yield _statement(raw.stmt, start, start + raw.stmt_len if raw.stmt_len else size)


def _statement(node: pb.Node, start: int = 0, end: int = 0) -> Statement:
    which = node.WhichOneof("node")
    if which is None:
        return Statement(kind=Kind.UNKNOWN, start=start, end=end, effects=Effect.ANYTHING)
    value = getattr(node, which)
    found = walk(value)
    inner_node = _inner(which, value)
    inner = _statement(inner_node) if inner_node is not None else None
    if which in SIMPLE_KINDS:
        known: dict[str, Any] = {"kind": _kind_of_query(SIMPLE_KINDS[which], found)}
    else:
        known = describe(which, value, inner)
    known_effects = known.pop("effects", Effect.NONE)
    effects = known_effects | found.effects
    if known["kind"] is Kind.PREPARE:
        effects = Effect.PREPARED  # what it holds happens at EXECUTE
    executes_inner = inner is not None and inner.kind is Kind.EXECUTE
    is_temporary = found.names_temporary and Effect.TEMPORARY not in effects
    if executes_inner or (known["kind"] is Kind.DDL and is_temporary):
        known_effects |= Effect.ANYTHING
        effects |= Effect.ANYTHING
    return Statement(
        start=start,
        end=end,
        effects=effects,
        reads=frozenset(found.reads),
        writes=frozenset(found.writes),
        functions=frozenset(found.functions),
        inner=inner,
        has_clock_literal=found.has_clock_literal,
        settings=frozenset(found.settings),
        sql_values=frozenset(found.sql_values),
        is_query=which == "select_stmt",
        operations=frozenset(found.operations),
        operators=frozenset(found.operators),
        types=frozenset(found.types),
        attributes=frozenset(found.attributes),
        locks_rows=found.locks_rows,
        samples_rows=found.samples_rows,
        is_opaque=found.is_opaque or (Effect.ANYTHING in known_effects and which != "call_stmt"),
        **known,
    )


def _kind_of_query(kind: Kind, found: Found) -> Kind:
    """A SELECT that writes, locks rows or makes a table is no read."""
    if kind is not Kind.READ:
        return kind
    if found.makes_table:
        return Kind.DDL
    return Kind.WRITE if found.writes or found.locks_rows else Kind.READ


def _inner(which: str, value: Any) -> pb.Node | None:
    """Return the statement inside PREPARE, EXPLAIN, DECLARE, COPY; the EXECUTE inside CREATE TABLE AS."""
    holds_one = which in ("prepare_stmt", "explain_stmt", "declare_cursor_stmt", "copy_stmt", "create_table_as_stmt")
    if not holds_one or not value.HasField("query"):
        return None
    inner: pb.Node = value.query
    # CREATE TABLE AS with a query is known as a whole.
    return inner if which != "create_table_as_stmt" or inner.WhichOneof("node") == "execute_stmt" else None
