"""What is known of built-in functions and of extensions beyond what their catalogue entries say (PURE data)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CLOCK_TYPES",
    "CONSTANT_EXTENSIONS",
    "HARMLESS_EXTENSIONS",
    "KEPT_STABLE",
    "ODD_FUNCTIONS",
    "SYSTEM_TYPES",
]

_KEPT = """
array_to_json array_to_string concat concat_ws convert convert_from convert_to current_database current_schema
current_schemas current_setting current_user date date_add date_part date_subtract date_trunc enum_first enum_last
enum_range extract format generate_series get_current_ts_config getdatabaseencoding in_range json_agg json_agg_strict
json_build_array json_build_object json_object_agg json_object_agg_strict json_object_agg_unique
json_object_agg_unique_strict json_populate_record json_populate_recordset json_to_record json_to_recordset
json_to_tsvector jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object jsonb_object_agg
jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_path_exists_tz
jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector length make_timestamptz money numeric
overlaps pg_client_encoding pg_typeof phraseto_tsquery plainto_tsquery quote_literal quote_nullable row_to_json
session_user time timestamp timestamptz timezone to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery
to_tsvector ts_headline version websearch_to_tsquery xml xml_is_well_formed
"""
KEPT_STABLE: Final = frozenset(_KEPT.split())
"""STABLE ones whose result depends on their arguments and on the settings of the session only, in every overload that
is not IMMUTABLE. Not among them: whatever tells the time (``now``, ``age``), looks at the catalogue or at the server.
"""

CLOCK_TYPES: Final = frozenset({"timetz"})
"""A cast to them asks what the time is, to find the offset of the time zone."""

_REG = "regclass regcollation regnamespace regoper regoperator regproc regprocedure regrole regtype"
SYSTEM_TYPES: Final = frozenset(_REG.split())
"""Their input looks names up in the catalogue."""

_HARMLESS = """
btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intarray ltree moddatetime
pg_trgm pgcrypto postgis postgis_raster postgis_sfcgal postgis_topology seg tablefunc tsm_system_rows tsm_system_time
unaccent uuid-ossp vector
"""
_LOOKING = """
amcheck pageinspect pg_buffercache pg_freespacemap pg_prewarm pg_stat_statements pg_visibility pg_walinspect pgrowlocks
pgstattuple sslinfo
"""
HARMLESS_EXTENSIONS: Final = frozenset(_HARMLESS.split()) | frozenset(_LOOKING.split())
"""Their functions in C leave nothing in a session, and change no rows but those that they are given."""

CONSTANT_EXTENSIONS: Final = frozenset(each for each in _HARMLESS.split() if not each.startswith("postgis"))
"""Their STABLE functions depend on their arguments and on settings only. Those of PostGIS read its tables too, those of
the extensions that look at the server tell of nothing else.
"""

_ODD = "connectby crosstab crosstab2 crosstab3 crosstab4 crosstab_hash crosstabn set_limit"
ODD_FUNCTIONS: Final = frozenset(_ODD.split())
"""Exceptions among the functions of those extensions: they run the text that they are given, or set a parameter."""
