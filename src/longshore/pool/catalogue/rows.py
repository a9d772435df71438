"""Rows of a database's catalogue as the server sends them: each a JSON array that begins with its tag (PURE values)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = [
    "Aggregate",
    "Builtins",
    "Code",
    "Definition",
    "ForeignKey",
    "Foreigner",
    "Head",
    "Hidden",
    "Hook",
    "Inherits",
    "Operator",
    "Relation",
    "Row",
    "SystemRelations",
    "Trigger",
]


class Head(msgspec.Struct, array_like=True, tag="h"):
    """What holds for the login."""

    search_path: str
    user: str
    role: str
    """``none``, or what ALTER ROLE … SET role says."""
    fingerprint: str


class Builtins(msgspec.Struct, array_like=True, tag="b"):
    """Functions that every database of this version has."""

    volatility: str
    names: str
    """Separated by spaces."""


class SystemRelations(msgspec.Struct, array_like=True, tag="s"):
    """The relations of ``pg_catalog`` or ``information_schema``."""

    schema: str
    names: str


class Relation(msgspec.Struct, array_like=True, tag="r", gc=False):
    """A table, a view, a sequence."""

    oid: int
    schema: str
    name: str
    kind: str
    """``pg_class.relkind``."""
    has_row_security: bool
    has_rules: bool
    """Others than the one that makes it a view."""


class Inherits(msgspec.Struct, array_like=True, tag="i"):
    """A child or partition, and its parent."""

    child: int
    parent: int


class Definition(msgspec.Struct, array_like=True, tag="v", gc=False):
    """The query of a view or materialised view, every name qualified that is not built in."""

    oid: int
    text: str


class Code(msgspec.Struct, array_like=True, tag="f", gc=False):
    """A function in SQL or PL/pgSQL."""

    schema: str
    name: str
    volatility: str
    language: str
    owner: str | None
    """Of SECURITY DEFINER."""
    config: list[str] | None
    """Its SET clauses: ``name=value``."""
    defaults: str | None
    """Expressions of its arguments."""
    takes_row: bool
    """It can be called like a column: ``table.function``."""
    header: str | None
    """Arguments and result, of PL/pgSQL if it is no trigger; every type is ``text`` or ``record``."""
    text: str | None
    """Its body; None: too long."""


class Foreigner(msgspec.Struct, array_like=True, tag="o", gc=False):
    """All functions of one name in other languages."""

    schema: str
    name: str
    volatility: str
    """The worst."""
    extension: str | None
    takes_row: bool


class Aggregate(msgspec.Struct, array_like=True, tag="a"):
    """An aggregate."""

    schema: str
    name: str
    functions: list[tuple[str, str]]
    """Those that do its work, as far as they are not built in."""


class Operator(msgspec.Struct, array_like=True, tag="p"):
    """An operator that is not built in."""

    schema: str
    name: str
    function: tuple[str, str]


class Hidden(msgspec.Struct, array_like=True, tag="x"):
    """A function that runs without being named: of a cast, a domain, a type, an index."""

    function: tuple[str, str]


class Hook(msgspec.Struct, array_like=True, tag="w"):
    """A function in a default, a check, a policy, an index, a trigger's WHEN: it may run at a write."""

    oid: int
    function: tuple[str, str]


class Trigger(msgspec.Struct, array_like=True, tag="t"):
    """A trigger of a user."""

    oid: int
    events: int
    """``pg_trigger.tgtype``."""
    function: tuple[str, str]


class ForeignKey(msgspec.Struct, array_like=True, tag="k"):
    """A foreign key."""

    oid: int
    """Of the relation that refers."""
    target: int
    on_update: str
    """``pg_constraint.confupdtype``."""
    on_delete: str


Row: TypeAlias = (
    Head
    | Builtins
    | SystemRelations
    | Relation
    | Inherits
    | Definition
    | Code
    | Foreigner
    | Aggregate
    | Operator
    | Hidden
    | Hook
    | Trigger
    | ForeignKey
)
