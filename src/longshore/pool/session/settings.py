"""Parameters of a session, and how a server connection is made to have them (PURE).

A setting is kept as the statement that makes it. Two sessions that said the same in different words get a SET more
than needed; that is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["is_sure_to_succeed", "quote_identifier", "quote_literal", "reset_sql", "set_sql", "transition"]

# The role depends on the session user, so that comes first; what is left follows in the order of the session.
_FIRST: Final = ("session_authorization", "role")
_RESETS: Final = {"session_authorization": "RESET SESSION AUTHORIZATION", "role": "RESET ROLE"}
_SURE: Final = frozenset(
    [
        "search_path",
        "timezone",
        "datestyle",
        "intervalstyle",
        "client_encoding",
        "application_name",
        "extra_float_digits",
        "bytea_output",
        "standard_conforming_strings",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "default_transaction_deferrable",
        "client_min_messages",
        "work_mem",
        "enable_seqscan",
        "enable_indexscan",
        "enable_nestloop",
        "enable_hashjoin",
        "enable_mergejoin",
        "jit",
        "geqo",
        "row_security",
        "synchronous_commit",
        "plan_cache_mode",
        "check_function_bodies",
    ]
)
"""A value that was good once is good again."""
_LIMIT: Final = "statement_timeout"


def quote_literal(text: str) -> str:
    """Return an SQL string constant that means ``text`` whatever ``standard_conforming_strings`` is."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def quote_identifier(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def set_sql(name: str, value: str) -> str:
    """Return the statement that gives a parameter its value, as ``current_setting`` would spell it."""
    return f"SELECT pg_catalog.set_config({quote_literal(name)}, {quote_literal(value)}, false)"


def reset_sql(name: str) -> str:
    """Return the statement that gives a parameter its value from before any SET."""
    known = _RESETS.get(name)
    return known or "RESET " + ".".join(map(quote_identifier, name.split(".")))


def transition(has: Mapping[str, str], wants: Mapping[str, str]) -> list[str]:
    """Return the statements that lead from one set of settings to another; both are name → statement."""
    if has == wants:
        return []
    changed = {name for name in wants if has.get(name) != wants[name]}
    if "session_authorization" in changed | (has.keys() - wants.keys()) and "role" in wants:
        changed.add("role")  # SET SESSION AUTHORIZATION takes the role away
    gone = [reset_sql(name) for name in _in_order(has) if name not in wants]
    return [*gone, *(wants[name] for name in _in_order(wants) if name in changed)]


def is_sure_to_succeed(has: Mapping[str, str], wants: Mapping[str, str]) -> bool:
    """Return whether nothing outside of the session decides if ``transition`` works: no role, no tablespace."""
    if _LIMIT in has or _LIMIT in wants:
        return False  # it counts for our statements, too
    changed = {name for name in has.keys() | wants.keys() if has.get(name) != wants.get(name)}
    return changed <= _SURE


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
