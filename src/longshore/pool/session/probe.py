"""The question what of a session is left on a server connection, and its answer (PURE).

One SELECT of catalogue functions, with every name qualified: the ``search_path`` is the client's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.pool.session.settings import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Findings", "parse_findings", "probe_sql"]

_QUERY: Final = """
SELECT pg_catalog.json_build_object(
 'temporary', EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=)
   pg_catalog.pg_my_temp_schema()) OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace
   OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE
   t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
 'advisory', EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid
   OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),
 'cursor', EXISTS (SELECT FROM pg_catalog.pg_cursors k WHERE k.is_holdable),
 'channels', (SELECT pg_catalog.json_agg(n.name) FROM pg_catalog.pg_listening_channels() n(name)),
 'prepared', (SELECT pg_catalog.json_object_agg(q.name, q.statement) FROM
   pg_catalog.pg_prepared_statements q WHERE q.from_sql),
 'protocol_prepared', (SELECT pg_catalog.json_agg(q.name) FROM pg_catalog.pg_prepared_statements q
   WHERE NOT q.from_sql),
 'settings', (SELECT pg_catalog.json_object_agg(s.name, pg_catalog.current_setting(s.name)) FROM
   pg_catalog.pg_settings s WHERE s.source OPERATOR(pg_catalog.=) 'session'),
 'hidden', %h,
 'named', %s)
"""
# A parameter that nobody has declared stands in no catalogue, but in the code that sets it.
_HIDDEN: Final = r"""(SELECT pg_catalog.json_object_agg(h.name, pg_catalog.current_setting(h.name, true)) FROM
   (SELECT DISTINCT pg_catalog.lower(coalesce(m[1], m[2])) AS name FROM pg_catalog.pg_proc p,
   pg_catalog.regexp_matches(p.prosrc,
   E'set_config\\s*\\(\\s*''([a-z_]\\w*\\.\\w+)''|\\mset\\s+(?:session\\s+)?([a-z_]\\w*\\.\\w+)\\s*(?:=|to\\M)', 'gi') m
   WHERE p.pronamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace LIMIT 1000) h)"""

# A SET TRANSACTION makes them be of the session, says the catalogue; each transaction begins with their defaults.
_OF_TRANSACTION: Final = frozenset({"transaction_isolation", "transaction_read_only", "transaction_deferrable"})


@dataclass(frozen=True, slots=True)
class Findings:
    """What a server connection has."""

    temporary: bool
    advisory: bool
    cursor: bool
    channels: frozenset[str]
    """To which it listens."""
    prepared: dict[str, str]
    """Statements made by SQL's PREPARE, and the texts that did it: with everything else that stood there."""
    protocol_prepared: frozenset[bytes]
    """Names of statements made by Parse."""
    settings: dict[str, str]
    """Every parameter that the session has set, and its value."""
    hidden: frozenset[str] = frozenset()
    """Parameters that the code in the database names."""


class _Answer(msgspec.Struct):
    temporary: bool
    advisory: bool
    cursor: bool
    channels: list[str] | None
    prepared: dict[str, str] | None
    protocol_prepared: list[str] | None
    settings: dict[str, str] | None
    hidden: dict[str, str | None] | None
    named: dict[str, str | None] | None


def probe_sql(names: Iterable[str], *, reads_code: bool = False) -> str:
    """Return the question.

    Args:
        reads_code: whether to look for more such names in the functions of the database, which takes its time.
        names: parameters that the catalogue does not list: those with a dot, that nobody has declared.
    """
    pairs = [
        f"{quote_literal(name)}, pg_catalog.current_setting({quote_literal(name)}, true)" for name in sorted(set(names))
    ]
    # Neither is listed. The role is "none" where none was set.
    pairs.append("'role', pg_catalog.current_setting('role')")
    pairs.append("'session_authorization', SESSION_USER")
    named = f"pg_catalog.json_build_object({', '.join(pairs)})"
    return _QUERY.replace("%h", _HIDDEN if reads_code else "NULL").replace("%s", named)


def parse_findings(value: bytes, login: str) -> Findings:
    """Return the answer.

    Args:
        value: the only column of the only row.
        login: the account of the connection, to see whether the session user is another.

    Raises:
        ValueError: it is none.
    """
    answer = msgspec.json.decode(value, type=_Answer)
    # The catalogue writes some in capitals ("TimeZone"); a name is the same in any case.
    settings = {name.lower(): value for name, value in (answer.settings or {}).items() if name not in _OF_TRANSACTION}
    for name, found in {**(answer.hidden or {}), **(answer.named or {})}.items():
        is_default = (name == "role" and found == "none") or (name == "session_authorization" and found == login)
        if found and not is_default:
            settings[name] = found
    return Findings(
        answer.temporary,
        answer.advisory,
        answer.cursor,
        frozenset(answer.channels or ()),
        answer.prepared or {},
        frozenset(name.encode() for name in answer.protocol_prepared or ()),
        settings,
        frozenset(answer.hidden or ()),
    )
