"""The queries that read a database's catalogue (PURE).

What is built in is sent as lists of names; of everything else, one row for each (``rows``). Object ids below 16384
are of the server itself. All of it has to run with nothing but ``pg_catalog`` in the search path: so nobody's
function of the same name runs with the rights of the pool, and views are deparsed with all other names qualified.
"""

from __future__ import annotations

# ruff: noqa: S608 - every part is a constant of this module
from typing import Final

__all__ = ["catalogue_sql", "fingerprint_sql"]

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_USERS: Final = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

# Grows or shrinks with every change of what the rows tell, and with little else.
_FINGERPRINT: Final = """concat_ws('.',
  (SELECT sum(hashtextextended(concat_ws('.', oid, relnamespace, relname, relkind, relrowsecurity, relhasrules), 0))
    FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_proc WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_rewrite WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_trigger WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_constraint WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_attrdef WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_policy),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_operator WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_cast WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_namespace WHERE oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_type WHERE typtype IN ('b', 'd')
    AND oid >= 16384),
  (SELECT sum(hashint8extended(oid::int8 << 32 | xmin::text::int8, 0)) FROM pg_amproc WHERE oid >= 16384),
  (SELECT sum(hashint8extended(inhrelid::int8 << 32 | inhparent::int8, 0)) FROM pg_inherits),
  h.path, current_setting('role'), current_setting('server_version_num'))"""

_HEAD: Final = f"""
SELECT json_build_array('h', h.path, session_user, current_setting('role'), {_FINGERPRINT})
  FROM (SELECT reset_val FROM pg_settings WHERE name = 'search_path') AS h(path)"""

_BUILTINS: Final = """
SELECT json_build_array('b', provolatile, string_agg(DISTINCT proname, ' ')) FROM pg_proc
  WHERE oid < 16384 GROUP BY provolatile"""

_SYSTEM: Final = """
SELECT json_build_array('s', n.nspname, string_agg(c.relname, ' ')) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('pg_catalog', 'information_schema')
  AND c.relkind IN ('r', 'v', 'm', 'f', 'S', 'p') GROUP BY n.nspname"""

_RELATIONS: Final = f"""
SELECT json_build_array('r', c.oid::int8, n.nspname, c.relname, c.relkind, c.relrowsecurity,
  c.relhasrules AND EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type <> '1'))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {_USERS}"""

_INHERITS: Final = "SELECT json_build_array('i', inhrelid::int8, inhparent::int8) FROM pg_inherits"

_DEFINITIONS: Final = f"""
SELECT json_build_array('v', c.oid::int8, pg_get_viewdef(c.oid)) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {_USERS}"""

_TAKES_ROW: Final = """(p.pronargs - p.pronargdefaults <= 1 AND p.pronargs > 0 AND EXISTS (SELECT FROM pg_type y
  WHERE y.oid = p.proargtypes[0] AND (y.typtype = 'c' OR y.typtype = 'p')))"""

# What PL/pgSQL's parser has to know of arguments and result: which there are, and whether they have fields.
_HEADER: Final = """CASE WHEN l.lanname = 'plpgsql' AND p.prorettype <> 'trigger'::regtype THEN
  concat('(', (SELECT string_agg(concat_ws(' ', CASE WHEN a.m IN ('o', 't') THEN 'OUT' WHEN a.m = 'b' THEN 'INOUT'
    ELSE 'IN' END, quote_ident(nullif(a.n, '')), CASE WHEN y.typtype IN ('c', 'p') THEN 'record' ELSE 'text' END), ', '
    ORDER BY a.i) FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes, p.proargnames)
    WITH ORDINALITY AS a(t, m, n, i) JOIN pg_type y ON y.oid = a.t), ') ',
    CASE WHEN p.proretset THEN 'RETURNS SETOF ' WHEN p.proargmodes && '{o,b,t}' THEN '' ELSE 'RETURNS ' END,
    CASE WHEN p.proargmodes && '{o,b,t}' AND NOT p.proretset THEN '' WHEN p.prokind = 'p' OR
      p.prorettype = 'void'::regtype THEN 'void' WHEN EXISTS (SELECT FROM pg_type y WHERE y.oid = p.prorettype
      AND y.typtype IN ('c', 'p')) OR p.proargmodes && '{o,b,t}' THEN 'record' ELSE 'text' END) END"""

_CODE: Final = f"""
SELECT json_build_array('f', n.nspname, p.proname, p.provolatile, l.lanname,
  CASE WHEN p.prosecdef THEN pg_get_userbyid(p.proowner) END, p.proconfig, pg_get_expr(p.proargdefaults, 0),
  {_TAKES_ROW}, {_HEADER}, CASE WHEN length(p.prosrc) <= 20000 THEN %sqlbody% END)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND p.prokind <> 'a' AND l.lanname IN ('sql', 'plpgsql') AND n.nspname !~ '^pg_temp'"""
_SQL_BODY: Final = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)"

_FOREIGNERS: Final = f"""
SELECT json_build_array('o', n.nspname, p.proname, max(p.provolatile::text), e.extname, bool_or({_TAKES_ROW}))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
  WHERE p.oid >= 16384 AND p.prokind <> 'a' AND l.lanname NOT IN ('sql', 'plpgsql') AND n.nspname !~ '^pg_temp'
  GROUP BY n.nspname, p.proname, e.extname"""

_AGGREGATES: Final = """
SELECT json_build_array('a', n.nspname, p.proname, coalesce((SELECT json_agg(DISTINCT json_build_array(m.nspname,
  q.proname)::jsonb) FROM unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
  a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) AS f(oid) JOIN pg_proc q ON q.oid = f.oid
  JOIN pg_namespace m ON m.oid = q.pronamespace WHERE q.oid >= 16384 OR q.provolatile <> 'i'), '[]'))
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.oid >= 16384"""

_OPERATORS: Final = """
SELECT json_build_array('p', n.nspname, o.oprname, json_build_array(m.nspname, p.proname)) FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_proc p ON p.oid = o.oprcode
  JOIN pg_namespace m ON m.oid = p.pronamespace WHERE o.oid >= 16384"""

_HIDDEN: Final = """
SELECT DISTINCT ON (n.nspname, p.proname) json_build_array('x', json_build_array(n.nspname, p.proname)) FROM (
  SELECT castfunc FROM pg_cast
  UNION SELECT amproc FROM pg_amproc
  UNION SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[]) FROM pg_type WHERE oid >= 16384
  UNION SELECT d.refobjid FROM pg_depend d JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass
    AND d.objid = k.oid WHERE k.contypid <> 0 AND d.refclassid = 'pg_proc'::regclass
  ) AS f(oid) JOIN pg_proc p ON p.oid = f.oid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384"""

_HOOKS: Final = """
WITH d AS (SELECT * FROM pg_depend WHERE refobjid >= 16384
  AND refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass))
SELECT DISTINCT ON (h.rel, n.nspname, p.proname) json_build_array('w', h.rel::int8,
  json_build_array(n.nspname, p.proname)) FROM (
    SELECT a.adrelid, d.refclassid, d.refobjid FROM d JOIN pg_attrdef a ON a.oid = d.objid
      WHERE d.classid = 'pg_attrdef'::regclass
    UNION SELECT k.conrelid, d.refclassid, d.refobjid FROM d JOIN pg_constraint k ON k.oid = d.objid
      WHERE d.classid = 'pg_constraint'::regclass AND k.contype = 'c' AND k.conrelid <> 0
    UNION SELECT o.polrelid, d.refclassid, d.refobjid FROM d JOIN pg_policy o ON o.oid = d.objid
      WHERE d.classid = 'pg_policy'::regclass
    UNION SELECT x.indrelid, d.refclassid, d.refobjid FROM d JOIN pg_index x ON x.indexrelid = d.objid
      WHERE d.classid = 'pg_class'::regclass
    UNION SELECT t.tgrelid, d.refclassid, d.refobjid FROM d JOIN pg_trigger t ON t.oid = d.objid
      WHERE d.classid = 'pg_trigger'::regclass AND d.refobjid <> t.tgfoid
    UNION SELECT a.attrelid, d.refclassid, d.refobjid FROM d JOIN pg_type y ON y.oid = d.objid
      JOIN pg_attribute a ON a.atttypid = y.oid WHERE d.classid = 'pg_type'::regclass AND y.typtype = 'd'
  ) AS h(rel, class, obj) LEFT JOIN pg_operator o ON h.class = 'pg_operator'::regclass AND o.oid = h.obj
  JOIN pg_proc p ON p.oid = CASE WHEN h.class = 'pg_proc'::regclass THEN h.obj ELSE o.oprcode::oid END
  JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384"""

_TRIGGERS: Final = """
SELECT json_build_array('t', t.tgrelid::int8, t.tgtype, json_build_array(n.nspname, p.proname)) FROM pg_trigger t
  JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE t.tgenabled <> 'D' AND (NOT t.tgisinternal OR t.tgconstraint = 0)"""

_KEYS: Final = """
SELECT json_build_array('k', conrelid::int8, confrelid::int8, confupdtype, confdeltype) FROM pg_constraint
  WHERE contype = 'f'"""

_PARTS: Final = (
    _BUILTINS,
    _SYSTEM,
    _RELATIONS,
    _INHERITS,
    _DEFINITIONS,
    _CODE,
    _FOREIGNERS,
    _AGGREGATES,
    _OPERATORS,
    _HIDDEN,
    _HOOKS,
    _TRIGGERS,
    _KEYS,
)
_SQL_BODIES_SINCE: Final = 140000


def catalogue_sql(server_version: int) -> list[str]:
    """Return the texts that read everything: one column, a row for each thing.

    They are several, because the pool's parser takes its time for each.

    Args:
        server_version: as ``server_version_num`` has it.
    """
    sqlbody = _SQL_BODY if server_version >= _SQL_BODIES_SINCE else "p.prosrc"
    return [_BEGIN, _HEAD, *(part.replace("%sqlbody%", sqlbody) for part in _PARTS), "COMMIT"]


def fingerprint_sql() -> str:
    """Return the text that reads no more than the head, with the fingerprint of all the rest."""
    return _HEAD
