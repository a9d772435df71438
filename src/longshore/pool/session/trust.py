"""Code of users that leaves nothing in a session, so that nobody has to ask the server what it left (PURE).

The catalogue tells what a function does (``Catalogue.leaves_nothing``). What it told is used only as long as nothing
can have changed: not behind a statement of the same transaction that changes the catalogue, and not when, at rest, one
of another session is or was under way through this pool. A function that is replaced past the pool is noticed when the
catalogue is looked after (``CatalogueLoader``); until then what the new one leaves is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.pool.session.core import SessionCore
from longshore.sql.facts import Effect

if TYPE_CHECKING:
    from longshore.sql.facts import TextFacts

__all__ = ["Trust"]


class Trust(SessionCore):
    """See ``SessionEngine``."""

    def trusted(self, facts: TextFacts) -> TextFacts:
        """Return what a text does, without what its code of users is known not to do."""
        if Effect.ANYTHING not in facts.effects or self.unit.changes_catalogue:
            return facts
        catalogue = self.shared.known_catalogue()
        # The path of a session in a transaction is not known; so whatever has the name has to be harmless.
        if catalogue is None or catalogue.changes_catalogue(facts) or not catalogue.leaves_nothing(facts, None):
            return facts
        self.unit.trusted_epoch = catalogue.epoch
        return replace(facts, effects=facts.effects & ~Effect.ANYTHING, changes_catalogue=False)

    def recheck_trust(self) -> None:
        """Take it back when the catalogue has changed in the meantime, or may be about to."""
        epoch = self.unit.trusted_epoch
        if epoch is not None and (epoch != self.shared.epoch or self.shared.changing):
            self.unit.effects |= Effect.ANYTHING

    def note_change(self) -> None:
        """Note that what is sent next may change the catalogue."""
        assert self.wire.server is not None
        self.shared.begin_change(self.wire.server)
        if self.belongings.creates_temporary:
            self.unit.note_unknown()
