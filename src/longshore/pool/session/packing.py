"""A session at rest as plain values, and back: for a pool that is replaced by a new process (PURE).

What stands here is all that a session is while it has no server connection. Its statements get new names on the new
pool's connections; what the client was told of their columns comes along, so that a statement which has changed
meanwhile is refused as it would have been.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from longshore.pool.session.extended import as_text
from longshore.pool.session.prepared import Prepared, StatementKey
from longshore.sql.classify import classify
from longshore.sql.facts import UNKNOWN_TEXT, Kind

if TYPE_CHECKING:
    from longshore.pool.session.core import SessionCore

__all__ = ["Packed", "pack", "unpack"]

Packed = dict[str, Any]
"""JSON can write it."""


def pack(session: SessionCore) -> Packed:
    """Return what a session without a server connection consists of."""
    belongings, extended = session.belongings, session.extended
    return {
        "pid": session.pid,
        "settings": dict(belongings.settings),
        "start_settings": belongings.start_settings,
        "sql_prepared": dict(belongings.sql_prepared),
        "parameters": {_text(name): _text(value) for name, value in session.parameters.items()},
        "statements": [{"name": _text(name), **_packed(each)} for name, each in extended.statements.items()],
        "unnamed": _packed(extended.unnamed) if extended.unnamed is not None else None,
    }


def unpack(session: SessionCore, values: Packed) -> None:
    """Make a new session be the packed one.

    Raises:
        KeyError, TypeError, ValueError: the values are not what ``pack`` made.
    """
    session.pid = int(values["pid"])
    session.belongings.settings = dict(values["settings"])
    session.belongings.sql_prepared = dict(values["sql_prepared"])
    session.parameters = {_raw(name): _raw(value) for name, value in values["parameters"].items()}
    for each in values["statements"]:
        prepared = _unpacked(each)
        prepared.name = _new_name(session, prepared)
        session.extended.statements[_raw(each["name"])] = prepared
    unnamed = values["unnamed"]
    session.extended.unnamed = _unpacked(unnamed) if unnamed is not None else None


def _new_name(session: SessionCore, prepared: Prepared) -> bytes:
    """Return a name for a statement on the new pool's connections; see ``ExtendedProtocol``."""
    names = session.shared.names
    is_private = any(each.kind is Kind.EXECUTE for each in prepared.facts.statements)
    if is_private or prepared.facts is UNKNOWN_TEXT:
        return names.new()
    return names.name(StatementKey(prepared.body, session.belongings.meaning()))


def _packed(prepared: Prepared) -> Packed:
    shape = prepared.shape
    return {"body": _text(prepared.body), "parameters": _optional(shape.parameters), "rows": _optional(shape.rows)}


def _unpacked(values: Packed) -> Prepared:
    body = _raw(values["body"])
    text = as_text(body[: body.index(0)])
    prepared = Prepared(body, b"", classify(text), text)
    prepared.shape.parameters = _raw(values["parameters"]) if values["parameters"] is not None else None
    prepared.shape.rows = _raw(values["rows"]) if values["rows"] is not None else None
    return prepared


def _optional(raw: bytes | None) -> str | None:
    return None if raw is None else _text(raw)


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def _raw(text: str) -> bytes:
    return b64decode(text, validate=True)
