"""What a session has that must be on whichever server connection it gets, and what ties it to one (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.pool.session.settings import quote_identifier, set_sql, transition
from longshore.sql.classify import classify
from longshore.sql.facts import Kind

if TYPE_CHECKING:
    from longshore.pool.session.probe import Findings
    from longshore.pool.session.server_memory import ServerMemory
    from longshore.pool.session.shared import PoolShared
    from longshore.pool.session.unit import Unit

__all__ = ["PROCESS", "SESSION_MODE", "TEMPORARY", "Belongings"]

TEMPORARY: Final = "temporary object"
PROCESS: Final = "state of the server process"
"""Nothing takes it away."""
SESSION_MODE: Final = "session mode"
"""The operator wants it so; nothing more is to be explained."""
_MEANING: Final = (
    "search_path",
    "role",
    "session_authorization",
    # The server reads constants when it parses.
    "timezone",
    "timezone_abbreviations",
    "datestyle",
    "intervalstyle",
    "client_encoding",
    "standard_conforming_strings",
    "backslash_quote",
    "transform_null_equals",
    "array_nulls",
    "lc_monetary",
    "xmloption",
)
_OWN_COMMANDS: Final = ("role", "session_authorization")
"""RESET ALL leaves them."""


class Belongings:
    """Parameters, SQL's prepared statements, and pins of one session.

    Args:
        session_id: of the pool.
        shared: of the pool.
        settings: what the client asked for in its StartupMessage: name → statement.
    """

    def __init__(self, session_id: int, shared: PoolShared, settings: dict[str, str]) -> None:
        self.settings = dict(settings)
        self.sql_prepared: dict[str, str] = {}
        """Name → PREPARE statement."""
        self.pins: dict[str, str] = {}
        """Why the session keeps its server connection: reason → statement."""
        self._startup = dict(settings)
        self._session_id = session_id
        self._shared = shared

    @property
    def start_settings(self) -> dict[str, str]:
        """What the client asked for when it connected."""
        return dict(self._startup)

    def is_start_setting(self, name: str) -> bool:
        """Return whether the client asked for a value when it connected: RESET means that one."""
        return name.lower() in self._startup

    # -- what it has -----------------------------------------------------------------------------

    @property
    def creates_temporary(self) -> bool:
        """True when what is created without a schema may be temporary."""
        return "pg_temp" in self.settings.get("search_path", "")

    def meaning(self) -> tuple[object, ...]:
        """Return what decides what names and constants in a statement mean that is prepared now."""
        if TEMPORARY in self.pins:
            return (self._session_id, self._shared.names.new())  # it may mean the temporary table
        return (self._shared.epoch, *map(self.settings.get, _MEANING))

    def restore(self, server: ServerMemory) -> tuple[list[str], list[str], list[tuple[str, str]]]:
        """Return what makes a connection be the session's.

        Returns:
            Statements for the settings; names of prepared statements that must go; name and text of those to be made.
        """
        if server.suspect not in (None, self._session_id):
            kept = {name: sql for name, sql in server.settings.items() if name in _OWN_COMMANDS}
            statements = [*transition(kept, {}), "RESET ALL", *transition({}, self.settings)]
            server.suspect = None
        else:
            statements = transition(server.settings, self.settings)
        server.settings = dict(self.settings)
        prepared: list[tuple[str, str]] = []
        gone: list[str] = []
        if server.sql_owner != self._session_id or server.sql_prepared != self.sql_prepared.keys():
            is_mine = server.sql_owner == self._session_id
            has = server.sql_prepared
            gone = sorted(has - self.sql_prepared.keys() if is_mine else has)
            prepared = [item for item in self.sql_prepared.items() if not is_mine or item[0] not in has]
            server.sql_prepared = set(self.sql_prepared)
            server.sql_owner = self._session_id
        return statements, gone, prepared

    # -- what statements do to it ----------------------------------------------------------------

    def settle(self, unit: Unit, server: ServerMemory) -> None:
        """Remember what statements that succeeded have changed."""
        for statement, text in unit.changes:
            name = statement.name
            match statement.kind:
                case Kind.SET:
                    self.settings[name] = server.settings[name] = text
                    if name == "session_authorization":
                        self._reset("role", server)
                case Kind.RESET:
                    for each in self._meant(name, server):
                        self._reset(each, server)
                case Kind.PREPARE:
                    self.sql_prepared[name] = text
                    server.sql_prepared.add(name)
                    server.sql_owner = self._session_id
                case Kind.DEALLOCATE if name:
                    self.drop_prepared(name, server)

    @staticmethod
    def _meant(name: str, server: ServerMemory) -> list[str]:
        """Return which parameters a RESET is about."""
        if name == "all":
            return [each for each in server.settings if each not in _OWN_COMMANDS]
        return ["role", name] if name == "session_authorization" else [name]

    def drop_prepared(self, name: str, server: ServerMemory) -> None:
        """Note that a statement made by PREPARE is gone."""
        self.sql_prepared.pop(name, None)
        server.sql_prepared.discard(name)

    def _reset(self, name: str, server: ServerMemory) -> None:
        """Note a RESET: the client's own start value counts again."""
        server.settings.pop(name, None)
        if name in self._startup:
            self.settings[name] = self._startup[name]
        else:
            self.settings.pop(name, None)

    def reconcile(self, findings: Findings, server: ServerMemory, text: str) -> None:
        """Take over what the server says.

        Args:
            findings: its answer.
            server: the connection that it is about.
            text: the statement that will be named as the reason.
        """
        server.suspect = self._session_id
        found = {name: set_sql(name, value) for name, value in findings.settings.items()}
        server.settings = found
        lost = {name: sql for name, sql in self._startup.items() if name not in found}
        self.settings = {**lost, **found}
        server.sql_prepared = set(findings.prepared)
        server.sql_owner = self._session_id
        self._reconcile_prepared(findings.prepared, text)
        self._pin_if(findings.advisory, "advisory lock", text)
        self._pin_if(findings.temporary, TEMPORARY, text)
        self._pin_if(findings.cursor, "cursor WITH HOLD", text)

    def _reconcile_prepared(self, found: dict[str, str], text: str) -> None:
        """Keep the texts that made what is there; what was made by code, or among other statements, is not repeated."""
        known, self.sql_prepared = self.sql_prepared, {}
        for name, made_by in found.items():
            single = classify(made_by).single
            if single is not None and single.kind is Kind.PREPARE:
                self.sql_prepared[name] = made_by
            elif name in known and known[name] in made_by:
                self.sql_prepared[name] = known[name]
            else:
                self.pin(f"prepared statement {quote_identifier(name)}", text)

    # -- pins ------------------------------------------------------------------------------------

    def pin(self, reason: str, text: str) -> None:
        """Tie the session to its connection; idempotent."""
        if reason not in self.pins:
            self.pins[reason] = text
            if SESSION_MODE not in self.pins:
                self._shared.on_pin(self._session_id, reason, text)

    def _pin_if(self, is_there: bool, reason: str, text: str) -> None:
        if is_there:
            self.pin(reason, text)
        else:
            self.pins.pop(reason, None)
