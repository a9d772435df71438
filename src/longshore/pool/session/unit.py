"""What a session did on a server connection since the last time it was at rest (PURE).

At rest (idle, outside a transaction) the question is whether something stayed behind in the server's session. Where the
text tells, nothing is asked: a SET that succeeded was made, one in a transaction that was rolled back was not. Where it
does not (savepoints, errors, code of the user), the server is asked once: ``needs_probe``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.sql.facts import Effect, Kind

if TYPE_CHECKING:
    from longshore.sql.facts import Statement, TextFacts

__all__ = ["Unit"]

# What the text of a statement that succeeded tells completely.
_TOLD: Final = Effect.SETTINGS | Effect.PREPARED
# What leaves nothing that another session could see.
_HARMLESS: Final = (
    Effect.SEQUENCE_MOVES | Effect.SEQUENCE_IS_READ | Effect.BACKEND_PID | Effect.DATABASE | Effect.NOTIFIES
)
# What makes a name mean something else until the transaction is over.
_MEANING: Final = Effect.SETTINGS | Effect.TEMPORARY | Effect.ANYTHING
_MURKY: Final = frozenset({Kind.SAVEPOINT, Kind.ROLLBACK, Kind.TWO_PHASE, Kind.UNKNOWN})
_SETS: Final = frozenset({Kind.SET, Kind.RESET})
_RESETS: Final = frozenset({Kind.RESET, Kind.DISCARD})
_BEFORE: Final = frozenset({Kind.PREPARE, Kind.DEALLOCATE, Kind.DISCARD})


class Unit:
    """The statements since the last rest."""

    __slots__ = ("changes", "changes_catalogue", "effects", "has_error", "is_murky", "trusted_epoch")

    def __init__(self) -> None:
        self.effects = Effect.NONE
        self.changes: list[tuple[Statement, str]] = []
        """Statements that change what the session remembers, with their texts, in order."""
        self.has_error = False
        self.is_murky = False
        self.changes_catalogue = False
        self.trusted_epoch: int | None = None
        """The ``PoolShared.epoch`` whose catalogue told that code of users is harmless; see ``Trust``."""

    def note(self, facts: TextFacts, text: str) -> None:
        """Take a text that was sent to the server."""
        self.changes_catalogue |= facts.changes_catalogue
        if facts.is_plain:
            return
        self.effects |= facts.effects
        encoded = text.encode("utf-8", "surrogatepass") if len(facts.statements) > 1 else b""
        for statement in facts.statements:
            if statement.kind in _MURKY or statement.is_chained:
                self.is_murky = True
            if statement.kind is Kind.SET and statement.name == "search_path" and _leads_to_temporary(statement):
                self.effects |= Effect.ANYTHING
            if statement.kind in _SETS and not statement.is_local:
                self.is_murky |= " " in statement.name  # SESSION CHARACTERISTICS: it sets three others
            elif statement.kind not in _BEFORE:
                self.is_murky |= bool(statement.effects & Effect.SETTINGS)  # set_config()
                continue
            part = encoded[statement.start : statement.end].decode("utf-8", "surrogatepass") if encoded else text
            self.changes.append((statement, part.strip()))

    def note_unknown(self) -> None:
        """Take a message that nobody can look into."""
        self.effects |= Effect.ANYTHING

    @property
    def has_reset(self) -> bool:
        """Whether a RESET is among the changes."""
        return any(each.kind in _RESETS for each, _ in self.changes)

    def has_made(self, name: str) -> bool:
        """Return whether a statement was made by PREPARE."""
        return any(each.kind is Kind.PREPARE and each.name == name for each, _ in self.changes)

    @property
    def is_clean(self) -> bool:
        """True when nothing can have stayed behind."""
        return not self.effects

    @property
    def is_private(self) -> bool:
        """True when names may mean something that they mean in no other session."""
        return self.changes_catalogue or bool(self.effects & _MEANING)

    @property
    def needs_probe(self) -> bool:
        """True when only the server can tell what stayed behind."""
        return bool(self.effects & ~(_TOLD | _HARMLESS)) or (bool(self.effects & _TOLD) and self.is_unclear)

    @property
    def is_unclear(self) -> bool:
        """True when statements may have been undone."""
        return self.has_error or self.is_murky


def _leads_to_temporary(statement: Statement) -> bool:
    """Return whether what is created without a schema may be temporary from here on."""
    return statement.value is None or "pg_temp" in statement.value
